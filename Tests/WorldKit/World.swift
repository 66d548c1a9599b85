import Logging
import ObjectStore
import Platform
import TestKit
import Transfer

import class FileSystem.FileSystem

@testable import Cache
@testable import FileSystem

/// A whole Sluice but for the kernel: a file system over a bucket in memory, with a state directory of its own.
final class World: Sendable {
    let store: MemoryStore
    let faulty: FaultyStore
    let time: ManualTime
    let journal: Journal
    let cache: FileCache
    let writeback: Writeback
    let fileSystem: FileSystem
    let driver: FileSystemDriver
    private let state: WorldState
    let link: LinkMonitor
    private let changes: ChangeFeed

    static let defaultLimits = CacheLimits(limit: 1 << 30, reserve: 0)
    static let defaults = RemoteDefaults(
        filePermissions: 0o644, directoryPermissions: 0o755, userID: 0, groupID: 0)

    /// - Parameters:
    ///   - state: one that was used before is that of a former process.
    ///   - writeback: how the bucket is brought up.
    ///   - limits: what data files may take.
    init(
        store: MemoryStore = MemoryStore(), state: WorldState? = nil, time: ManualTime = ManualTime(),
        writeback configuration: WritebackConfiguration = WritebackConfiguration(
            host: "robot", defaults: World.defaults),
        limits: CacheLimits = World.defaultLimits,
        _ configure: (inout FileSystemOptions) -> Void = { _ in }
    ) throws {
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        var options = FileSystemOptions()
        configure(&options)
        self.store = store
        self.time = time
        faulty = FaultyStore(store, time: time)
        self.state = try state ?? WorldState()
        journal = try self.state.openJournal()
        cache = try FileCache(
            journal: journal, disk: self.state.disk, limits: limits,
            time: time, boot: self.state.boot, logger: logger)
        link = LinkMonitor(time: time, logger: logger)
        let observed = ObservedStore(faulty, link: link)
        changes = ChangeFeed()
        let (changes, link) = (changes, link)
        let listed = ListedAttributes(options.attributes, journal: journal, logger: logger)
        let fetcher = Fetcher(
            store: observed, cache: cache, time: time, concurrency: 4, logger: logger, listed: listed,
            isOnline: { !link.isOffline })
        let lister = try Lister(
            store: observed, journal: journal, time: time, timeToLive: options.metadataTimeToLive,
            defaults: Self.defaults, logger: logger, listed: listed, isOpenForWriting: cache.isOpenForWriting,
            onChange: changes.report)
        var configuration = configuration
        configuration.metadata = options.metadata
        writeback = Writeback(
            store: observed, cache: cache, link: link, configuration: configuration,
            time: time, logger: logger, materialize: { try await fetcher.materialize($0, $1) }, onChange: changes.report
        )
        let writeback = writeback
        fetcher.takeSuccessors { [weak writeback] in writeback?.isSuccessor($0, of: $1, for: $2) ?? false }
        fileSystem = try FileSystem(
            cache: cache, fetcher: fetcher, lister: lister,
            metadata: MetadataLoader(store: observed, cache: cache, fetcher: fetcher, listed: listed),
            listed: listed, writeback: writeback, link: link,
            defaults: Self.defaults, options: options, time: time, logger: logger)
        let fileSystem = fileSystem
        changes.listen { fileSystem.bucketChanged($0) }
        driver = FileSystemDriver(fileSystem)
        try writeback.start()
    }

    /// Everything is in the bucket.
    func drain() async throws {
        try await writeback.drained(under: .root)
    }

    /// Lets the clock run until something that the mount does by itself has happened; some real minutes at most, as
    /// other tests may hold the threads.
    func comesTrue(_ condition: () -> Bool) async -> Bool {
        await eventually {
            time.advance(by: .seconds(1))
            return condition()
        }
    }

    /// No directory is being listed any more: who looks now does not share a listing that began before.
    func isListed() -> Bool {
        let inodes = (try? journal.read { try $0.subtree(of: .root) }) ?? []
        return inodes.allSatisfy { fileSystem.lister.lastProgress(of: $0) == nil }
    }

    /// What is not in the bucket yet, for people to read; not of files that are open for writing.
    func pending() throws -> [String] {
        try journal.read { transaction in
            let inodes = try transaction.pendingInodes().map { "\(try transaction.path(of: $0.number) ?? "-"): \($0)" }
            return try inodes + transaction.tombstones(after: nil, limit: 1000).map { "\($0)" }
        }
    }

    /// What the flush timer does.
    func flush() throws {
        try cache.flush()
        writeback.lookAtOpenFiles()
    }

    /// Lets go of the local bytes of everything that is in the bucket and closed.
    func letGo() throws {
        try flush()
        try cache.evict(atLeast: .max)
    }

    /// The end of a mount. A new world on the same directory is the next one.
    func stop() async throws {
        link.stop()
        await writeback.stop()
        try cache.flush()
        try journal.close()
        letGoOfEachOther()
    }

    /// The death of the process: from now on nothing reaches the bucket, the journal or the kernel.
    func die() async throws {
        faulty.isOffline = true
        try journal.close()
        link.stop()
        await writeback.stop()
        letGoOfEachOther()
    }

    /// The parts hold each other in a circle, which in a process lasts as long as it.
    private func letGoOfEachOther() { changes.listen { _ in } }
}

extension MemoryStore {
    func set(_ key: String, _ text: String, metadata: [String: String] = [:]) {
        set(ObjectKey(key), Array(text.utf8), metadata: metadata)
    }

    func text(_ key: String) -> String? {
        bytes(ObjectKey(key)).map { String(decoding: $0, as: UTF8.self) }
    }
}

extension WritebackConfiguration {
    /// For a store with ``ObjectStore/MultipartLimits/small`` parts.
    static let smallParts: WritebackConfiguration = {
        var configuration = WritebackConfiguration(host: "robot", defaults: World.defaults)
        configuration.singlePutLimit = 24
        configuration.partSize = 8
        return configuration
    }()
}

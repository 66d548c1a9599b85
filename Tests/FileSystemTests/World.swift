import Cache
import FileSystem
import Logging
import ObjectStore
import Platform
import TestKit
import Transfer

import class FileSystem.FileSystem

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
    private let link: LinkMonitor
    private let directory: TemporaryDirectory

    init(store: MemoryStore = MemoryStore(), _ configure: (inout FileSystemOptions) -> Void = { _ in }) throws {
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        var options = FileSystemOptions()
        configure(&options)
        self.store = store
        time = ManualTime()
        faulty = FaultyStore(store, time: time)
        directory = try TemporaryDirectory()
        journal = try Journal(path: directory.path("journal.db"))
        cache = try FileCache(
            journal: journal, disk: PosixDisk(path: directory.path), limits: CacheLimits(limit: 1 << 30, reserve: 0),
            time: time, boot: BootIdentity(high: 1, low: 1), logger: logger)
        link = LinkMonitor(time: time, logger: logger)
        let observed = ObservedStore(faulty, link: link)
        let changes = ChangeFeed()
        let link = link
        let fetcher = Fetcher(
            store: observed, cache: cache, time: time, concurrency: 4, logger: logger, isOnline: { !link.isOffline })
        let defaults = RemoteDefaults(filePermissions: 0o644, directoryPermissions: 0o755, userID: 0, groupID: 0)
        let lister = Lister(
            store: observed, journal: journal, time: time, timeToLive: options.metadataTimeToLive,
            defaults: defaults, logger: logger, onChange: changes.report)
        var configuration = WritebackConfiguration(host: "robot")
        configuration.metadata = options.metadata
        writeback = Writeback(
            store: observed, cache: cache, link: link, configuration: configuration, time: time, logger: logger,
            materialize: { try await fetcher.materialize($0) }, onChange: changes.report)
        fileSystem = try FileSystem(
            cache: cache, fetcher: fetcher, lister: lister,
            metadata: MetadataLoader(store: observed, journal: journal), writeback: writeback, link: link,
            defaults: defaults, options: options, time: time, logger: logger)
        let fileSystem = fileSystem
        changes.listen { fileSystem.bucketChanged($0) }
        driver = FileSystemDriver(fileSystem)
        try writeback.start()
    }

    /// Everything is in the bucket.
    func drain() async throws {
        try await writeback.drained(under: .root)
    }
}

extension MemoryStore {
    func set(_ key: String, _ text: String, metadata: [String: String] = [:]) {
        set(ObjectKey(key), Array(text.utf8), metadata: metadata)
    }

    func text(_ key: String) -> String? {
        bytes(ObjectKey(key)).map { String(decoding: $0, as: UTF8.self) }
    }
}

import Cache
import Logging
import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing

@testable import Transfer

/// Bytes of objects brought into data files.
@Suite struct FetcherTests {
    let bucket = MemoryStore()
    let store: FaultyStore
    let machine: Machine
    let content: [UInt8]

    /// A cache with one remote file, and a fetcher.
    final class Machine: Sendable {
        let directory: TemporaryDirectory
        let journal: Journal
        let cache: FileCache
        let fetcher: Fetcher
        let switchboard = Switchboard()

        init(_ store: any ObjectStore, concurrency: Int = 4) throws {
            let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            directory = try TemporaryDirectory()
            journal = try Journal(path: directory.path("journal.db"))
            cache = try FileCache(
                journal: journal, disk: PosixDisk(path: directory.path),
                limits: CacheLimits(limit: 1 << 40, reserve: 0),
                time: SystemTime(), boot: BootIdentity(high: 1, low: 1), logger: logger)
            let switchboard = switchboard
            fetcher = Fetcher(
                store: store, cache: cache, time: SystemTime(), concurrency: concurrency, logger: logger,
                listed: ListedAttributes(.exact, journal: journal, logger: logger),
                isOnline: { switchboard.isOnline.load(ordering: .relaxed) })
        }

        final class Switchboard: Sendable {
            let isOnline = Atomic(true)
        }

        func insert(_ name: String, _ etag: ETag, size: Int64) throws -> InodeNumber {
            try journal.write { transaction in
                let inode = try transaction.insertInode { number in
                    var inode = Inode(
                        number: number, kind: .file, permissions: 0o644, userID: 0, groupID: 0,
                        time: Timestamp(nanoseconds: 0))
                    inode.size = size
                    inode.remote = RemoteObject(key: ObjectKey(name), etag: etag, size: size)
                    return inode
                }
                return inode.number
            }
        }
    }

    init() throws {
        store = FaultyStore(bucket)
        machine = try Machine(store)
        var random = SeededRandom(seed: 7)
        content = random.bytes(20 << 20)
    }

    private func makeFile() throws -> CachedFile {
        let etag = bucket.set(ObjectKey("a"), content)
        return try machine.cache.acquire(machine.insert("a", etag, size: Int64(content.count)))
    }

    private func read(_ file: CachedFile, _ range: Range<Int64>, wanted: Range<Int64>? = nil) async -> StoreError? {
        await withCheckedContinuation { done in
            machine.fetcher.read(file, range, wanted: wanted ?? range) { done.resume(returning: $0) }
        }
    }

    private func bytes(_ file: CachedFile, _ range: Range<Int64>) throws -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(range.length), alignment: 1)
        defer { buffer.deallocate() }
        let count = try file.read(into: buffer, at: range.lowerBound)
        return Array(buffer.prefix(count))
    }

    /// An upload of this machine took effect and its answer was lost: the object has what is missing here, at its place.
    @Test(arguments: [true, false])
    func whatIsMissingComesFromTheObjectThatTookThePlace(isOurs: Bool) async throws {
        let file = try makeFile()
        var after = content
        after[5] ^= 1
        bucket.set(ObjectKey("a"), after, metadata: ["sluice-upload": isOurs ? "ours" : "theirs"])
        try machine.journal.write { transaction in
            var inode = try #require(try transaction.inode(file.inode))
            inode.attempt = Inode.Attempt(key: ObjectKey("a"), token: "ours")
            try transaction.update(inode)
        }
        let reconciler = Reconciler(
            store: store, cache: machine.cache,
            settings: Reconciler.Settings(host: "robot", defaults: LocalMachine.defaults), time: SystemTime(),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), materialize: { _, _ in },
            onChange: { _ in })
        machine.fetcher.takeSuccessors { reconciler.isSuccessor($0, of: $1, for: $2) }
        let error = await read(file, 9_000_000..<9_000_100)
        #expect(error?.kind == (isOurs ? nil : .preconditionFailed))
        if isOurs { #expect(try bytes(file, 9_000_000..<9_000_100) == Array(content[9_000_000..<9_000_100])) }
    }

    @Test func anotherVersionInThePlaceOfAnObjectIsNoSignOfABadLink() async throws {
        let link = LinkMonitor(
            time: SystemTime(), logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let machine = try Machine(ObservedStore(store, link: link))
        let etag = bucket.set(ObjectKey("a"), content)
        let file = try machine.cache.acquire(machine.insert("a", etag, size: Int64(content.count)))
        bucket.set(ObjectKey("a"), content.reversed())
        machine.fetcher.takeSuccessors { _, _, _ in false }
        // All are told that the version is gone before the first one is told which one came.
        for _ in 0..<2 * LinkState.failuresUntilOffline { store.script(.get, .delay(.milliseconds(200))) }
        await withTaskGroup(of: StoreError?.self) { group in
            for start in (0..<Int64(LinkState.failuresUntilOffline)).map({ $0 * 8 << 20 }) {
                group.addTask {
                    await withCheckedContinuation { done in
                        let range = start..<start + 100
                        machine.fetcher.read(file, range, wanted: range) { done.resume(returning: $0) }
                    }
                }
            }
            for await error in group { #expect(error?.kind == .preconditionFailed) }
        }
        #expect(store.calls(.get) == 2 * LinkState.failuresUntilOffline, "each asked what took the place")
        #expect(!link.isOffline)
    }

    @Test func bytesArriveWhereTheyBelong() async throws {
        let file = try makeFile()
        #expect(await read(file, 9_000_000..<9_000_100) == nil)
        #expect(try bytes(file, 9_000_000..<9_000_100) == Array(content[9_000_000..<9_000_100]))
        try await machine.fetcher.materialize(file, 0..<file.status.size)
        #expect(file.missing(in: 0..<Int64(content.count)).isEmpty)
        #expect(try bytes(file, 0..<Int64(content.count)) == content)
    }

    @Test func presentBytesAreAnsweredAtOnceWithoutARequest() async throws {
        let file = try makeFile()
        #expect(await read(file, 0..<1000) == nil)
        let requests = store.calls(.get)
        let answered = Atomic(false)
        machine.fetcher.read(file, 10..<20, wanted: 10..<20) { _ in answered.store(true, ordering: .relaxed) }
        let isAnswered = answered.load(ordering: .relaxed)
        #expect(isAnswered)
        #expect(store.calls(.get) == requests)
    }

    @Test func readersOfTheSameBytesShareARequest() async throws {
        let file = try makeFile()
        store.script(.get, .delay(.milliseconds(100)))
        await withTaskGroup(of: StoreError?.self) { group in
            for _ in 0..<20 { group.addTask { await read(file, 0..<4096) } }
            for await error in group { #expect(error == nil) }
        }
        #expect(store.calls(.get) == 1)
    }

    @Test func aWideWishIsFetchedInParallelRanges() async throws {
        let file = try makeFile()
        #expect(await read(file, 0..<Int64(content.count)) == nil)
        #expect(store.calls(.get) == 3)
        #expect(store.gets.compactMap(\.range).map(\.length).max() == FetchPlan.chunkSize)
    }

    @Test func aFailureIsToldToThoseWhoWaitAndTheNextReadTriesAgain() async throws {
        let file = try makeFile()
        store.script(.get, .unreachable)
        #expect(await read(file, 0..<100)?.kind == .unreachable)
        #expect(await read(file, 0..<100) == nil)
    }

    @Test func anObjectThatIsAnotherVersionNowIsNeverMixedIn() async throws {
        let file = try makeFile()
        #expect(await read(file, 0..<100) == nil)
        bucket.set(ObjectKey("a"), Array(repeating: 0, count: content.count))
        #expect(await read(file, 10_000_000..<10_000_100)?.kind == .preconditionFailed)
        #expect(!file.missing(in: 10_000_000..<10_000_100).isEmpty)
    }

    /// A program writes the missing bytes while it is looked for readers who can be answered.
    @Test func aReaderWhoseBytesBecomeLocalAtAnyMomentIsNotForgotten() async throws {
        let answered = Atomic(0)
        var waiters = FetchWaiters()
        waiters.add(0..<10) { _ in answered.add(1, ordering: .relaxed) }
        var isLocal = false
        for _ in 0..<2 {
            let ready = waiters.take { _ in
                defer { isLocal = true }
                return isLocal
            }
            for completion in ready { completion(nil) }
        }
        let count = answered.load(ordering: .relaxed)
        #expect(count == 1 && waiters.isEmpty)
    }

    @Test func withoutAWayToTheStoreReadersFailAtOnce() async throws {
        let file = try makeFile()
        machine.switchboard.isOnline.store(false, ordering: .relaxed)
        #expect(await read(file, 0..<100)?.kind == .unreachable)
        #expect(store.calls(.get) == 0)
    }

    @Test func aFileStaysOpenWhileItIsFetchedThoughItsHandleIsClosed() async throws {
        let file = try makeFile()
        let inode = file.inode
        store.script(.get, .delay(.milliseconds(200)))
        let answered = Atomic(false)
        machine.fetcher.read(file, 0..<100, wanted: 0..<100) { _ in answered.store(true, ordering: .relaxed) }
        machine.cache.release(file)
        #expect(machine.cache.openFile(inode) != nil)
        try await waitUntil {
            try machine.cache.flush()
            return machine.cache.openFile(inode) == nil
        }
        let isAnswered = answered.load(ordering: .relaxed)
        #expect(isAnswered)
    }
}

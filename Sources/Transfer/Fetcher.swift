import Cache
import Logging
import ObjectStore
import Platform
import Synchronization

/// Brings bytes of objects into the data files: what readers wait for, and what they will read next.
///
/// Readers that want the same bytes share one request; each is answered as soon as its bytes are there, not when the
/// request ends. Requests that somebody waits for come before read-ahead.
///
/// Thread rule: any thread; completions run on any thread, under no lock. A file that is being fetched stays open in
/// the cache.
public final class Fetcher: Sendable {
    /// Told once: nil when the bytes are local.
    public typealias Completion = @Sendable (StoreError?) -> Void

    private let store: any ObjectStore
    private let cache: FileCache
    private let time: any TimeSource
    private let concurrency: Int
    private let isOnline: @Sendable () -> Bool
    private let logger: Logger
    private let state = Mutex(State())
    /// For bytes that find no room on the disk.
    public let uncached: UncachedReader

    /// For so long after a fetch found no room, readers are told so at once.
    private static let noRoomPause = Duration.seconds(1)
    /// Bytes that are made local at a time before an upload.
    private static let materializeStep: Int64 = 64 << 20

    private struct FileState {
        var file: CachedFile
        var plan = FetchPlan()
        var waiters = FetchWaiters()
        var lastProgress: Duration
    }

    private struct Request {
        var inode: InodeNumber
        var range: Range<Int64>
        var purpose: SpacePurpose
    }

    private struct State {
        var files: [InodeNumber: FileState] = [:]
        /// Somebody waits for these.
        var demanded: [Request] = []
        var ahead: [Request] = []
        var running = 0
        var rate = RateMeter()
        var noRoomUntil = Duration.zero
    }

    /// - Parameters:
    ///   - concurrency: requests under way at once.
    ///   - isOnline: whether there is a way to the store; without one readers fail at once.
    public init(
        store: any ObjectStore, cache: FileCache, time: any TimeSource, concurrency: Int, logger: Logger,
        isOnline: @escaping @Sendable () -> Bool
    ) {
        self.store = store
        self.cache = cache
        self.time = time
        self.concurrency = concurrency
        self.logger = logger
        self.isOnline = isOnline
        uncached = UncachedReader(store: store, time: time)
    }

    /// Calls `completion` when every byte of `range` is local, before returning if it is already. `wanted`, which
    /// contains it, is what should be on the way besides. Bytes that cannot be kept on this disk, for want of room above
    /// all, are a `.localFault`: they can be read from ``uncached``.
    public func read(
        _ file: CachedFile, _ range: Range<Int64>, wanted: Range<Int64>, for purpose: SpacePurpose = .reading,
        then completion: @escaping Completion
    ) {
        let isPresent = file.missing(in: range).isEmpty
        if isPresent { completion(nil) }
        if purpose == .reading, hasNoRoom {
            if !isPresent { completion(Self.noRoom) }
            return
        }
        guard isOnline() else {
            if !isPresent { completion(StoreError(.unreachable, message: "there is no way to the store now")) }
            return
        }
        enqueue(file, range, wanted: wanted, for: purpose, isPresent ? nil : completion)
        startRequests()
    }

    /// When bytes of a file last arrived, by the monotonic clock; nil if none are on the way.
    public func lastProgress(of inode: InodeNumber) -> Duration? {
        state.withLock { $0.files[inode]?.lastProgress }
    }

    /// Of bodies, over the last seconds.
    public var bytesPerSecond: Double {
        let now = time.monotonic
        return state.withLock { $0.rate.bytesPerSecond(at: now) }
    }

    /// Makes every byte of a file in `range` local.
    public func materialize(_ file: CachedFile, _ range: Range<Int64>) async throws(StoreError) {
        var start = range.lowerBound
        while start < range.upperBound {
            let range = start..<min(range.upperBound, start + Self.materializeStep)
            let error = await withCheckedContinuation { done in
                read(file, range, wanted: range, for: .sending) { done.resume(returning: $0) }
            }
            if let error { throw error }
            start = range.upperBound
        }
    }
}

// MARK: Queue

extension Fetcher {
    private func enqueue(
        _ file: CachedFile, _ range: Range<Int64>, wanted: Range<Int64>, for purpose: SpacePurpose,
        _ completion: Completion?
    ) {
        let missing = file.missing(in: wanted)
        if missing.isEmpty && completion == nil { return }
        // A reference of our own, so that a file whose handles are closed is not opened a second time meanwhile.
        cache.retain(file)
        let isSurplus = state.withLock { state in
            let isKnown = state.files[file.inode] != nil
            var entry = state.files[file.inode] ?? FileState(file: file, lastProgress: time.monotonic)
            if let completion { entry.waiters.add(range, completion) }
            for request in entry.plan.begin(missing: missing) {
                let isDemanded = completion != nil && request.overlaps(range)
                let request = Request(inode: file.inode, range: request, purpose: purpose)
                if isDemanded { state.demanded.append(request) } else { state.ahead.append(request) }
            }
            state.files[file.inode] = entry
            return isKnown
        }
        if isSurplus { cache.release(file) }
        // The bytes may have come between the look and the wait.
        progress(of: file.inode, received: 0)
    }

    private func startRequests() {
        while let (request, file) = nextRequest() {
            Task {
                let error = await run(request, file)
                finish(request, error)
                startRequests()
            }
        }
    }

    private static let noRoom = StoreError(.localFault, message: "no room for fetched bytes")

    private var hasNoRoom: Bool {
        let now = time.monotonic
        return state.withLock { now < $0.noRoomUntil }
    }

    private func nextRequest() -> (Request, CachedFile)? {
        state.withLock { state in
            guard state.running < concurrency else { return nil }
            while !state.demanded.isEmpty || !state.ahead.isEmpty {
                let request = state.demanded.isEmpty ? state.ahead.removeFirst() : state.demanded.removeFirst()
                guard let file = state.files[request.inode]?.file else { continue }
                state.running += 1
                return (request, file)
            }
            return nil
        }
    }

    private func run(_ request: Request, _ file: CachedFile) async -> StoreError? {
        do {
            try cache.admit(request.range.length, for: request.purpose)
        } catch {
            let now = time.monotonic
            state.withLock { $0.noRoomUntil = now + Self.noRoomPause }
            return Self.noRoom
        }
        defer { cache.arrived(request.range.length) }
        while true {
            guard let base = file.base else { return nil }  // every byte is local then
            do {
                let sink = FillSink(file: file, base: base) { [self] count in
                    progress(of: request.inode, received: Int64(count))
                }
                // Asked for as a whole, an object comes with the checksum that its store keeps.
                let range = request.range == 0..<base.size ? nil : request.range
                _ = try await store.get(base.key, range: range, ifMatch: base.etag, into: sink)
                // Bytes of another version than the base were not taken.
                if file.base?.etag == base.etag { return nil }
            } catch {
                if error.kind == .corrupted { distrust(file, request.range, of: base) }
                guard file.base(after: error, of: base) != nil else { return error }
            }
        }
    }

    /// Nothing of what came is kept.
    private func distrust(_ file: CachedFile, _ range: Range<Int64>, of base: RemoteObject) {
        do { try file.distrust(range, of: base.etag) } catch {
            logger.error("wrong bytes are kept", metadata: ["ino": "\(file.inode)", "error": "\(error)"])
        }
    }

    /// Answers the readers whose bytes are there.
    private func progress(of inode: InodeNumber, received count: Int64) {
        let now = time.monotonic
        let ready = state.withLock { state -> [Completion] in
            if count > 0 { state.rate.add(count, at: now) }
            guard var entry = state.files[inode] else { return [] }
            let file = entry.file
            let ready = entry.waiters.take { file.missing(in: $0).isEmpty }
            if count > 0 { entry.lastProgress = now }
            state.files[inode] = entry
            return ready
        }
        for completion in ready { completion(nil) }
    }

    private func finish(_ request: Request, _ error: StoreError?) {
        progress(of: request.inode, received: 0)
        let (failed, idle) = state.withLock { state -> ([Completion], CachedFile?) in
            state.running -= 1
            guard var entry = state.files[request.inode] else { return ([], nil) }
            entry.plan.end(request.range)
            let failed = error == nil ? [] : entry.waiters.take { $0.overlaps(request.range) }
            let isIdle = entry.plan.isIdle && entry.waiters.isEmpty
            state.files[request.inode] = isIdle ? nil : entry
            return (failed, isIdle ? entry.file : nil)
        }
        if let error { report(error, request, failed.count) }
        for completion in failed { completion(error) }
        if let idle { cache.release(idle) }
    }

    private func report(_ error: StoreError, _ request: Request, _ waiting: Int) {
        // Readers of what finds no room are served without.
        let isHarmless = waiting == 0 || error.kind == .localFault && request.purpose == .reading
        logger.log(
            level: isHarmless ? .debug : .warning, "fetch failed",
            metadata: ["ino": "\(request.inode)", "range": "\(request.range)", "error": "\(error)"])
    }
}

/// Puts received bytes into the data file.
private final class FillSink: ByteSink {
    private let file: CachedFile
    private let base: RemoteObject
    private let progress: @Sendable (_ count: Int) -> Void

    init(file: CachedFile, base: RemoteObject, progress: @escaping @Sendable (Int) -> Void) {
        self.file = file
        self.base = base
        self.progress = progress
    }

    /// One version has one size: a store that tells two is not believed.
    func begin(_ info: ObjectInfo) throws {
        guard info.size == base.size else {
            throw StoreError(.badAnswer, message: "the store tells \(info.size) bytes of what had \(base.size)")
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        try file.fill(bytes, at: offset, of: base.etag)
        progress(bytes.count)
    }
}

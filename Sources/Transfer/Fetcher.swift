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
    private let listed: ListedAttributes
    private let state = Mutex(State())
    private let successor = Mutex<Successor?>(nil)
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

        /// Somebody waits now for what was to be read ahead.
        mutating func promote(_ range: Range<Int64>, of inode: InodeNumber) {
            let isDue = { (request: Request) in request.inode == inode && request.range.overlaps(range) }
            guard ahead.contains(where: isDue) else { return }
            demanded += ahead.filter(isDue)
            ahead.removeAll(where: isDue)
        }
    }

    /// Whether what is at the key of an object now is what an upload of an inode made in its place, the outcome of which is
    /// not journaled yet.
    public typealias Successor = @Sendable (_ info: ObjectInfo, _ of: RemoteObject, _ inode: InodeNumber) -> Bool

    /// `isSuccessor` is asked when an object is gone that a file stands on.
    public func takeSuccessors(_ isSuccessor: @escaping Successor) { successor.withLock { $0 = isSuccessor } }

    /// - Parameters:
    ///   - concurrency: requests under way at once.
    ///   - listed: is told what objects turn out to be.
    ///   - isOnline: whether there is a way to the store; without one readers fail at once.
    public init(
        store: any ObjectStore, cache: FileCache, time: any TimeSource, concurrency: Int, logger: Logger,
        listed: ListedAttributes, isOnline: @escaping @Sendable () -> Bool
    ) {
        self.store = store
        self.cache = cache
        self.time = time
        self.concurrency = concurrency
        self.logger = logger
        self.isOnline = isOnline
        self.listed = listed
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

    /// What nobody waits for and no request was made for is not fetched: who read the file went elsewhere. Others that
    /// read it say again with their next read what they want ahead.
    public func dropReadAhead(of inode: InodeNumber) {
        let idle = state.withLock { state -> CachedFile? in
            guard !state.ahead.isEmpty, var entry = state.files[inode] else { return nil }
            state.ahead.removeAll { request in
                guard request.inode == inode, !entry.waiters.overlap(request.range) else { return false }
                entry.plan.end(request.range)
                return true
            }
            let isIdle = entry.plan.isIdle && entry.waiters.isEmpty
            state.files[inode] = isIdle ? nil : entry
            return isIdle ? entry.file : nil
        }
        if let idle { cache.release(idle) }
    }

    /// Keeps the first bytes of an object, which came on another way. What finds no room is fetched when it is read.
    func keep(_ bytes: [UInt8], of number: InodeNumber, _ object: RemoteObject) {
        let count = Int64(bytes.count)
        guard !hasNoRoom, (try? cache.admit(count, for: .reading)) != nil else { return }
        defer { cache.arrived(count) }
        guard let file = try? cache.acquire(number) else { return }
        defer { cache.release(file) }
        try? bytes.withUnsafeBytes { try file.fill($0, at: 0, of: object.etag) }
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
            if let completion {
                entry.waiters.add(range, completion)
                state.promote(range, of: file.inode)
            }
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
        answerReaders(of: file.inode)
    }

    private func startRequests() {
        while let first = nextRequest() {
            // On the reader's thread as far as it goes: none has to be woken to send the request.
            Task.immediate {
                var next: (Request, CachedFile)? = first
                while let (request, file) = next {
                    let error = await run(request, file)
                    finish(request, error)
                    next = nextRequest()
                }
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
                try await get(request, file, base)
                // Bytes of another version than the base were not taken.
                if file.base?.etag == base.etag { return nil }
            } catch {
                if error.kind == .corrupted { distrust(file, request.range, of: base) }
                if file.base(after: error, of: base) != nil { continue }
                return await fetchFromSuccessor(of: base, request, file, error)
            }
        }
    }

    /// An upload of this machine may have taken the place of the object before it was journaled: what is missing here is the
    /// same in both.
    private func fetchFromSuccessor(
        of base: RemoteObject, _ request: Request, _ file: CachedFile, _ failure: StoreError
    ) async -> StoreError? {
        guard failure.isOutdated, let isSuccessor = successor.withLock({ $0 }) else { return failure }
        do {
            try await get(request, file, base) { isSuccessor($0, base, file.inode) }
            return nil
        } catch {
            return failure
        }
    }

    /// `isSuccessor`: what is asked for is not `base`, but what took its place.
    private func get(
        _ request: Request, _ file: CachedFile, _ base: RemoteObject,
        isSuccessor: (@Sendable (ObjectInfo) -> Bool)? = nil
    ) async throws(StoreError) {
        let sink = FillSink(
            file: file, base: base,
            check: { (info) throws(StoreError) in try Self.check(info, isSuccessor: isSuccessor, of: base) },
            listener: FillSink.Listener(
                arrived: { [self] in arrived($0, $1, request.inode) },
                filled: { [self] in answerReaders(of: request.inode) }))
        // Asked for as a whole, an object comes with the checksum that its store keeps.
        let range = request.range == 0..<base.size ? nil : request.range
        do {
            let info = try await store.get(
                base.key, range: range, ifMatch: isSuccessor == nil ? base.etag : nil, into: sink)
            listed.saw(info, of: request.inode)
        } catch {
            try? sink.flush()
            throw error
        }
        do {
            try sink.flush()
        } catch {
            throw error as? StoreError ?? StoreError(.localFault, message: "\(error)")
        }
    }

    /// An answer about somebody else's version is one of the store all the same. But one version has one size: a store that
    /// tells two is not believed.
    private static func check(
        _ info: ObjectInfo, isSuccessor: ((ObjectInfo) -> Bool)?, of base: RemoteObject
    ) throws(StoreError) {
        if let isSuccessor {
            guard !isSuccessor(info) else { return }
            throw StoreError(.preconditionFailed, message: "another version is in the place of the object")
        }
        guard info.size == base.size else {
            throw StoreError(.badAnswer, message: "the store tells \(info.size) bytes of what had \(base.size)")
        }
    }

    /// Nothing of what came is kept.
    private func distrust(_ file: CachedFile, _ range: Range<Int64>, of base: RemoteObject) {
        do { try file.distrust(range, of: base.etag) } catch {
            logger.error("wrong bytes are kept", metadata: ["ino": "\(file.inode)", "error": "\(error)"])
        }
    }

    /// Whether a reader waits for no more than what has arrived of a file by now.
    private func arrived(_ range: Range<Int64>, _ count: Int, _ inode: InodeNumber) -> Bool {
        let now = time.monotonic
        return state.withLock { state in
            state.rate.add(Int64(count), at: now)
            state.files[inode]?.lastProgress = now
            return state.files[inode]?.waiters.areDue(by: range) ?? false
        }
    }

    /// Those whose bytes are there.
    private func answerReaders(of inode: InodeNumber) {
        let ready = state.withLock { state -> [Completion] in
            guard let file = state.files[inode]?.file else { return [] }
            return state.files[inode]?.waiters.take { file.missing(in: $0).isEmpty } ?? []
        }
        for completion in ready { completion(nil) }
    }

    private func finish(_ request: Request, _ error: StoreError?) {
        answerReaders(of: request.inode)
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

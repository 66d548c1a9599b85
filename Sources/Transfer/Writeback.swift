import Cache
import Logging
import ObjectStore
import Platform
import Synchronization

/// Brings the bucket up to the journal in the background: when, how many at once, and what to do about failures. What
/// one inode needs is the ``Reconciler``'s.
///
/// Nothing is lost by stopping it at any moment, or by its process dying: all that it must know is in the journal.
///
/// Thread rule: any thread. Methods that are not `async` return at once. Its lock is taken before the journal's and
/// never held while another is waited for.
public final class Writeback: Sendable {
    /// So many small files are worked on in the place of a large one.
    private static let smallFactor = 4

    let configuration: WritebackConfiguration
    let cache: FileCache
    let link: LinkMonitor
    let time: any TimeSource
    let logger: Logger
    let reconciler: Reconciler
    let progress = ProgressSignal()
    let state: Mutex<State>

    struct State {
        var queue: UploadQueue
        var running: [InodeNumber: Run] = [:]
        /// Inodes that wait for another's object to leave their key, by the one they wait for.
        var blocked: [InodeNumber: Set<InodeNumber>] = [:]
        var failures: [InodeNumber: WritebackStatus.Failure] = [:]
        var rate = RateMeter()
        var advance = UploadAdvance()
        var timer: Timer?
        var sweep = Sweep()
        var growth: GrowthWatch
        var isStarted = false
        /// Orders the starts of runs and the calls of those who wait for them.
        var ticket: UInt64 = 0
        var drains = 0
        /// When an inode's last successful run began; kept only while somebody waits.
        var reached: [InodeNumber: UInt64] = [:]
    }

    struct Run {
        var task: Task<Void, Never>?
        let progress: UploadProgress
        let isUrgent: Bool
        let ticket: UInt64
    }

    struct Timer {
        var due: Duration
        var task: Task<Void, Never>
    }

    /// The deletion of objects, which goes through all tombstones in one task.
    struct Sweep {
        var isWanted = false
        var task: Task<Void, Never>?
        var notBefore = Duration.zero
        /// The last one found something that runs have to end before; nothing failed.
        var isHeld = false
        var backoff = Backoff()
        var failure: WritebackStatus.Failure?
    }

    /// - Parameters:
    ///   - store: the bucket; requests are expected to report to `link` (``ObservedStore``).
    ///   - link: probing; while it says offline, nothing is tried.
    ///   - materialize: makes every byte of a range of a file local, or throws.
    ///   - onChange: told of names that changed because of a conflict; called under no lock.
    public init(
        store: any ObjectStore,
        cache: FileCache,
        link: LinkMonitor,
        configuration: WritebackConfiguration,
        time: any TimeSource,
        logger: Logger,
        materialize: @escaping @Sendable (CachedFile, Range<Int64>) async throws -> Void,
        onChange: @escaping @Sendable ([BucketChange]) -> Void
    ) {
        self.configuration = configuration
        self.cache = cache
        self.link = link
        self.time = time
        self.logger = logger
        reconciler = Reconciler(
            store: store,
            cache: cache,
            settings: Reconciler.Settings(
                host: configuration.host,
                defaults: configuration.defaults,
                singlePutLimit: configuration.singlePutLimit,
                partSize: configuration.partSize,
                concurrency: configuration.concurrency,
                partConcurrency: configuration.partConcurrency,
                metadata: configuration.metadata,
                idleDelay: configuration.idleDelay,
                conditions: configuration.conditions
            ),
            time: time,
            logger: logger,
            materialize: materialize,
            onChange: onChange
        )
        state = Mutex(
            State(
                queue: UploadQueue(concurrency: configuration.concurrency * Self.smallFactor),
                growth: GrowthWatch(firstSize: configuration.singlePutLimit, idleDelay: configuration.idleDelay)))
    }

    var journal: Journal { cache.journal }
}

// MARK: Start and stop

extension Writeback {
    /// Takes up everything that the journal says is pending.
    public func start() throws {
        let pending = try journal.read { try $0.pendingInodes().map(\.number) }
        let now = time.monotonic
        state.withLock { state in
            state.isStarted = true
            state.sweep.isWanted = true
            for number in pending { state.queue.schedule(number, at: now) }
        }
        link.addListener { [weak self] condition in self?.linkChanged(condition) }
        advance()
    }

    /// Ends all work under way and returns when it has ended. The journal holds what is left.
    public func stop() async {
        let tasks = state.withLock { state in
            state.isStarted = false
            state.timer?.task.cancel()
            state.timer = nil
            return state.running.values.compactMap(\.task) + [state.sweep.task].compactMap { $0 }
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        progress.fire()
    }

    private func linkChanged(_ condition: LinkState.Condition) {
        let now = time.monotonic
        state.withLock { state in
            state.queue.isPaused = condition != .online
            guard condition == .online else { return }
            state.queue.wakeAll(at: now)
            state.sweep.notBefore = now
            state.sweep.backoff.reset()
        }
        advance()
    }
}

// MARK: Wishes

extension Writeback {
    /// Something of an inode is pending: it is brought up after `delay`, by default ``WritebackConfiguration/uploadDelay``.
    /// A later wish for the same inode replaces the moment of an earlier one. A file that is open for writing ends with
    /// its close, upon which this is to be called again.
    public func schedule(_ inode: InodeNumber, after delay: Duration? = nil) {
        let now = time.monotonic
        state.withLock { $0.queue.schedule(inode, at: now + (delay ?? configuration.uploadDelay)) }
        advance()
    }

    public func schedule(_ inodes: [InodeNumber], after delay: Duration? = nil) {
        let ready = time.monotonic + (delay ?? configuration.uploadDelay)
        state.withLock { state in
            for inode in inodes { state.queue.schedule(inode, at: ready) }
        }
        advance()
    }

    /// What was written to files is durable: of those that are open, what can be sent is.
    public func lookAtOpenFiles() {
        let looks = cache.filesOpenForWriting.filter(\.isDirty).map {
            GrowthWatch.Look(inode: $0.inode, size: $0.version.size, changed: $0.lastChange)
        }
        let now = time.monotonic
        let due = state.withLock { $0.growth.due(looks, at: now) }
        if !due.isEmpty { schedule(due, after: .zero) }
    }

    /// Space is wanted: everything that is closed is brought up now.
    public func hurry() {
        do {
            let pending = try journal.read { try $0.pendingInodes() }
            let closed = pending.filter { $0.pending.contains(.content) && !cache.isOpenForWriting($0.number) }
            schedule(closed.map(\.number), after: .zero)
        } catch {
            logger.error("looking for what to send failed", metadata: ["error": "\(error)"])
        }
    }

    /// The journal has new tombstones.
    public func tombstonesChanged() {
        state.withLock { $0.sweep.isWanted = true }
        advance()
    }

    /// Brings everything at and below an inode up now, also what is in back-off or open for writing.
    public func urge(under top: InodeNumber) throws {
        let pending = try journal.read { try $0.pendingUnder(top).map(\.number) }
        let now = time.monotonic
        state.withLock { state in
            for number in pending { state.queue.schedule(number, at: now, isUrgent: true) }
            state.sweep.isWanted = true
            state.sweep.notBefore = now
        }
        advance()
    }

    /// Uploads wait until ``resume()``; requests under way go on.
    public func pause() { link.pause() }
    public func resume() { link.resume() }

    /// Urges, and returns when everything that was pending at and below an inode is in the bucket, and what was
    /// deleted there is gone. Of a file that is being written, its state at some moment after the call is. Waits for
    /// as long as it takes: throws only CancellationError, and errors of the journal.
    public func drained(under top: InodeNumber) async throws {
        let ticket = state.withLock { state in
            state.ticket += 1
            state.drains += 1
            return state.ticket
        }
        defer {
            state.withLock { state in
                state.drains -= 1
                if state.drains == 0 { state.reached = [:] }
            }
        }
        try urge(under: top)
        while true {
            let seen = progress.count
            let left = try left(under: top, since: ticket)
            if left == 0 { return }
            try await waitForProgress(after: seen, events: left / 4)
        }
    }

    private func left(under top: InodeNumber, since ticket: UInt64) throws -> Int {
        // Before the journal: the tombstones that a run left are there when it counts as ended.
        let reached = state.withLock { $0.reached }
        let (pending, hasTombstones) = try journal.read { transaction in
            (
                try transaction.pendingUnder(top).map(\.number),
                try Self.hasTombstones(under: top, in: transaction)
            )
        }
        return pending.count { (reached[$0] ?? 0) < ticket } + (hasTombstones ? 1 : 0)
    }

    private static func hasTombstones(under top: InodeNumber, in transaction: JournalTransaction) throws -> Bool {
        guard let inode = try transaction.inode(top), let path = try transaction.path(of: top) else { return false }
        guard inode.kind == .directory else { return try transaction.tombstone(at: ObjectKey(path)) != nil }
        return try transaction.hasTombstones(withPrefix: path.isEmpty ? "" : path + "/")
    }

    /// The journal is asked again only after a part of what was left has changed, or when all is quiet.
    private func waitForProgress(after seen: UInt64, events: Int) async throws {
        var seen = seen
        let enough = seen + UInt64(events)
        repeat {
            try await progress.wait(after: seen)
            seen = progress.count
        } while seen < enough && state.withLock { !$0.running.isEmpty }
    }

    /// See ``Fetcher/takeSuccessors(_:)``.
    public func isSuccessor(_ info: ObjectInfo, of base: RemoteObject, for inode: InodeNumber) -> Bool {
        reconciler.isSuccessor(info, of: base, for: inode)
    }

    /// When bytes last reached the bucket, or something there was brought up, by the monotonic clock.
    public var lastProgress: Duration { state.withLock { $0.advance.last } }

    /// Whether requests have a chance to pass.
    public var isOnline: Bool { !link.isOffline }

    /// Whether bytes of an inode are being brought to the bucket now.
    public func isUnderWay(_ inode: InodeNumber) -> Bool {
        state.withLock { $0.running[inode]?.progress.hasBegun ?? false }
    }

    public var status: WritebackStatus {
        let now = time.monotonic
        let (runs, failures, rate) = state.withLock { state in
            (
                state.running.mapValues(\.progress.status),
                state.failures.values + [state.sweep.failure].compactMap { $0 },
                state.rate.bytesPerSecond(at: now)
            )
        }
        let uploads = runs.compactMap { number, status -> WritebackStatus.Upload? in
            guard status.total > 0, let path = try? journal.read({ try $0.path(of: number) }) else { return nil }
            return WritebackStatus.Upload(path: path, bytesDone: status.done, bytesTotal: status.total)
        }
        return WritebackStatus(
            uploading: uploads.sorted { $0.path < $1.path },
            uploadBytesPerSecond: rate,
            link: link.condition,
            linkReason: link.reason,
            errors: failures.sorted { $0.path < $1.path },
            warnings: [reconciler.conditions.warning].compactMap { $0 }
        )
    }
}

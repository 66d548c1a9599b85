import Cache
import Logging
import Platform
import Synchronization
import SystemPackage

/// Changes of files that wait until there is space for them: made in the order in which they came, each answered once.
/// No thread waits with them, and nothing else does.
///
/// Thread rule: any thread. Its lock is a leaf: changes are made and answered under no lock, by one task at a time.
final class SpaceQueue: Sendable {
    /// Bytes of all waiting writes together that may lie in memory; a write beyond gets ENOSPC at once. A program has
    /// one write of 1 MiB at most under way in each file that it has open.
    static let heldLimit = 256 << 20
    /// Space that other programs give back is looked for this often.
    private static let pollPause = Duration.milliseconds(100)

    /// What the queue needs of those around it.
    struct Surroundings: Sendable {
        /// When bytes last reached the bucket, by the monotonic clock.
        var progress: @Sendable () -> Duration
        /// Somebody began to wait: what can make room is to begin now.
        var hurry: @Sendable () -> Void
        /// A change was refused with ENOSPC.
        var refused: @Sendable (InodeNumber) -> Void
    }

    /// Whether, and since when, somebody waits.
    struct Status: Equatable, Sendable {
        var count: Int
        var longest: Duration
    }

    private struct State {
        var waiting: [WaitingChange] = []
        /// The one that is being made now; it is the pump's alone.
        var current: UInt64?
        var held = 0
        var last: UInt64 = 0
        /// When room was last found for somebody.
        var admitted: Duration?
        var isPumping = false
    }

    private let wait: SpaceWait
    private let time: any TimeSource
    private let surroundings: Surroundings
    private let count = Atomic<Int>(0)
    private let state = Mutex(State())

    /// `limit`: how long a change waits without progress.
    init(limit: Duration, time: any TimeSource, surroundings: Surroundings) {
        wait = SpaceWait(limit: limit)
        self.time = time
        self.surroundings = surroundings
    }

    /// Who comes now must not overtake those who wait.
    var isAnyWaiting: Bool { count.load(ordering: .relaxed) > 0 }

    /// Whether a change may wait at all.
    var mayWait: Bool { wait.limit > .zero }

    var status: Status? {
        let now = time.monotonic
        return state.withLock { state in
            state.waiting.first.map { Status(count: state.waiting.count, longest: now - $0.since) }
        }
    }

    /// A change gets ENOSPC without having waited.
    func refuse(_ inode: InodeNumber) -> Errno {
        surroundings.refused(inode)
        return .noSpace
    }

    /// Makes a change as soon as there is room for it.
    ///
    /// - Parameters:
    ///   - count: bytes that may come to the disk.
    ///   - held: bytes in memory that `attempt` holds.
    ///   - attempt: nil if there is no room. Called again and again, on a task.
    ///   - reply: gets what `attempt` returned; ENOSPC when the time has run out; EINTR.
    func add<Value: Sendable>(
        _ inode: InodeNumber, count: Int64, held: Int, reply: @escaping Reply<Value>,
        attempt: @escaping @Sendable () throws(Errno) -> Value?
    ) -> (any PendingOperation)? {
        let now = time.monotonic
        let number: UInt64? = state.withLock { state in
            guard mayWait, state.held + held <= Self.heldLimit else { return nil }
            state.last += 1
            state.held += held
            let change = WaitingChange(
                number: state.last, inode: inode, count: count, held: held, since: now,
                attempt: { Self.run(attempt, reply) }, refuse: { reply(.failure($0)) })
            state.waiting.append(change)
            self.count.store(state.waiting.count, ordering: .relaxed)
            return state.last
        }
        guard let number else {
            reply(.failure(refuse(inode)))
            return nil
        }
        start()
        return Interruption(queue: self, number: number)
    }

    private static func run<Value: Sendable>(
        _ attempt: () throws(Errno) -> Value?, _ reply: @escaping Reply<Value>
    ) -> WaitingChange.Answer? {
        do throws(Errno) {
            guard let value = try attempt() else { return nil }
            return { reply(.success(value)) }
        } catch {
            return { reply(.failure(error)) }
        }
    }

    private struct Interruption: PendingOperation {
        let queue: SpaceQueue
        let number: UInt64

        func interrupt() { queue.interrupt(number) }
    }

    /// One that is being made now is answered with what becomes of it.
    private func interrupt(_ number: UInt64) {
        take(number)?.refuse(.interrupted)
    }

    /// Nil if it is not there any more, or if it is being made and another than the pump asks.
    @discardableResult
    private func take(_ number: UInt64, isPump: Bool = false) -> WaitingChange? {
        state.withLock { state in
            guard isPump || state.current != number,
                let index = state.waiting.firstIndex(where: { $0.number == number })
            else { return nil }
            let change = state.waiting.remove(at: index)
            state.held -= change.held
            count.store(state.waiting.count, ordering: .relaxed)
            return change
        }
    }
}

// MARK: Making changes

extension SpaceQueue {
    private func start() {
        let isFirst = state.withLock { state in
            defer { state.isPumping = true }
            return !state.isPumping
        }
        guard isFirst else { return }
        Task {
            surroundings.hurry()
            await pump()
        }
    }

    private func pump() async {
        while true {
            let isAnyMade = goThrough()
            let isOver = state.withLock { state in
                if state.waiting.isEmpty { state.isPumping = false }
                return state.waiting.isEmpty
            }
            if isOver { return }
            // Where there was room for one, there may be some for those who came meanwhile.
            if isAnyMade { continue }
            do { try await time.sleep(for: Self.pollPause) } catch { continue }
        }
    }

    /// Gives everybody one chance, the oldest first; of each file, a change waits for those before it. Returns whether
    /// somebody's was made.
    private func goThrough() -> Bool {
        var blocked: Set<InodeNumber> = []
        // Less than what found no room may still find some.
        var refused = Int64.max
        var isAnyMade = false
        for change in state.withLock({ $0.waiting }) {
            let isTried = change.count < refused && !blocked.contains(change.inode)
            if isTried, attempt(change) {
                isAnyMade = true
                continue
            }
            if isTried { refused = change.count }
            blocked.insert(change.inode)
            endIfOverdue(change)
        }
        return isAnyMade
    }

    /// Whether it is not waiting any more.
    private func attempt(_ change: WaitingChange) -> Bool {
        let isThere = state.withLock { state in
            guard state.waiting.contains(where: { $0.number == change.number }) else { return false }
            state.current = change.number
            return true
        }
        guard isThere else { return true }
        let answer = change.attempt()
        let now = time.monotonic
        state.withLock { state in
            if answer != nil { state.admitted = now } else { state.current = nil }
        }
        guard let answer else { return false }
        // Before the answer: who goes on because of it is not to wait for itself.
        take(change.number, isPump: true)
        answer()
        return true
    }

    private func endIfOverdue(_ change: WaitingChange) {
        let admitted = state.withLock { $0.admitted } ?? change.since
        let progress = max(admitted, surroundings.progress())
        guard wait.decide(since: change.since, progress: progress, now: time.monotonic) == .fail,
            take(change.number, isPump: true) != nil
        else { return }
        change.refuse(refuse(change.inode))
    }
}

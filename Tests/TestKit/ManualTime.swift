import Platform
import Synchronization

/// A clock that stands still until a test turns it; sleepers wake when their moment has come.
public final class ManualTime: TimeSource {
    private struct Sleeper {
        var wakeAt: Duration
        var wake: @Sendable (Result<Void, any Error>) -> Void
    }

    private struct State {
        var monotonic: Duration = .zero
        var wall: Timestamp
        var nextID = 0
        var sleepers: [Int: Sleeper] = [:]
    }

    private let state: Mutex<State>

    /// `wall` is where the wall clock starts; by default a moment of the year 2025.
    public init(wall: Timestamp = Timestamp(seconds: 1_750_000_000)) {
        state = Mutex(State(wall: wall))
    }

    public var monotonic: Duration { state.withLock { $0.monotonic } }
    public var wall: Timestamp { state.withLock { $0.wall } }

    /// Those who wait for the clock now.
    public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

    /// Sets the wall clock alone, as a robot's clock jumps when it finds the network.
    public func setWall(_ wall: Timestamp) {
        state.withLock { $0.wall = wall }
    }

    /// Turns both clocks and wakes who is due, in the order of their moments.
    public func advance(by duration: Duration) {
        let due = state.withLock { state -> [Sleeper] in
            state.monotonic += duration
            state.wall = Timestamp(nanoseconds: state.wall.nanoseconds + duration.nanoseconds)
            let due = state.sleepers.filter { $0.value.wakeAt <= state.monotonic }
            for id in due.keys { state.sleepers[id] = nil }
            return due.sorted { ($0.value.wakeAt, $0.key) < ($1.value.wakeAt, $1.key) }.map(\.value)
        }
        for sleeper in due { sleeper.wake(.success(())) }
    }

    /// Turns the clocks to the next moment that a task waits for. False if none does.
    public func advanceToNextSleeper() -> Bool {
        guard let due = state.withLock({ state in state.sleepers.values.map { $0.wakeAt - state.monotonic }.min() })
        else { return false }
        advance(by: max(due, .zero))
        return true
    }

    /// Returns once at least `count` tasks sleep, so that an advance does not come too early.
    public func waitForSleepers(_ count: Int = 1) async {
        while sleeperCount < count { await Task.yield() }
    }

    public func sleep(for duration: Duration) async throws {
        try Task.checkCancellation()
        guard duration > .zero else { return }
        let id = makeID()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                enter(id, for: duration, continuation)
            }
        } onCancel: {
            state.withLock { $0.sleepers.removeValue(forKey: id) }?.wake(.failure(CancellationError()))
        }
    }

    public func after(_ duration: Duration, _ action: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        let id = makeID()
        state.withLock { $0.sleepers[id] = Sleeper(wakeAt: $0.monotonic + duration) { _ in action() } }
        return { self.state.withLock { _ = $0.sleepers.removeValue(forKey: id) } }
    }

    private func makeID() -> Int {
        state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
    }

    private func enter(_ id: Int, for duration: Duration, _ continuation: CheckedContinuation<Void, any Error>) {
        let cancelled = state.withLock { state in
            // The cancellation handler may have run before there was a sleeper to find.
            guard !Task.isCancelled else { return true }
            state.sleepers[id] = Sleeper(wakeAt: state.monotonic + duration) { continuation.resume(with: $0) }
            return false
        }
        if cancelled { continuation.resume(throwing: CancellationError()) }
    }
}

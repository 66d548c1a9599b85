import Synchronization

/// Lets so many tasks at a time send something large; who waits comes in the order he asked. Thread rule: any thread.
final class LargeTransfers: Sendable {
    /// Of what is shorter, several take no longer over a slow link than one that is larger; bytes.
    static let smallSize: Int64 = 256 << 10

    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(atOnce count: Int) {
        state = Mutex(State(free: max(1, count)))
    }

    /// `body` must not wait for another's. Throws also CancellationError.
    func withTurn<Value>(_ body: () async throws -> Value) async throws -> Value {
        await begin()
        defer { end() }
        try Task.checkCancellation()
        return try await body()
    }

    private func begin() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                guard state.free == 0 else {
                    state.free -= 1
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    private func end() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.free += 1
            return nil
        }
        next?.resume()
    }
}

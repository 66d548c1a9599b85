import Synchronization

/// Lets so many tasks at a time send something large; who waits comes in the order he asked. Thread rule: any thread.
final class LargeTransfers: Sendable {
    /// Of what is shorter, several take no longer over a slow link than one that is larger; bytes.
    static let smallSize: Int64 = 256 << 10

    private let turns: Mutex<Turns>

    init(atOnce count: Int) {
        turns = Mutex(Turns(atOnce: count))
    }

    /// `body` must not wait for another's. Throws also CancellationError.
    func withTurn<Value>(_ body: () async throws -> Value) async throws -> Value {
        await withCheckedContinuation { waiter in
            if turns.withLock({ $0.begin(waiter) }) { waiter.resume() }
        }
        defer { turns.withLock { $0.end() }?.resume() }
        try Task.checkCancellation()
        return try await body()
    }
}

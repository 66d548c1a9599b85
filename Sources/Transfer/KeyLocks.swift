import ObjectStore
import Synchronization

/// Lets one task at a time write to a key. Waiters come in the order they asked.
final class KeyLocks: Sendable {
    private let turns = Mutex<[ObjectKey: Turns]>([:])

    func withLock<Value>(_ key: ObjectKey, _ body: () async throws -> Value) async throws -> Value {
        await withCheckedContinuation { waiter in
            if turns.withLock({ $0[key, default: Turns(atOnce: 1)].begin(waiter) }) { waiter.resume() }
        }
        defer { unlock(key) }
        return try await body()
    }

    private func unlock(_ key: ObjectKey) {
        let next = turns.withLock { turns in
            let next = turns[key]?.end()
            if next == nil { turns[key] = nil }
            return next
        }
        next?.resume()
    }
}

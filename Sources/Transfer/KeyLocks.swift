import ObjectStore
import Synchronization

/// Lets one task at a time write to a key. Waiters come in the order they asked.
final class KeyLocks: Sendable {
    private let waiters = Mutex<[ObjectKey: [CheckedContinuation<Void, Never>]]>([:])

    func withLock<Value>(_ key: ObjectKey, _ body: () async throws -> Value) async throws -> Value {
        await lock(key)
        defer { unlock(key) }
        return try await body()
    }

    private func lock(_ key: ObjectKey) async {
        await withCheckedContinuation { continuation in
            let isFree = waiters.withLock { waiters in
                guard waiters[key] == nil else {
                    waiters[key]?.append(continuation)
                    return false
                }
                waiters[key] = []
                return true
            }
            if isFree { continuation.resume() }
        }
    }

    private func unlock(_ key: ObjectKey) {
        let next = waiters.withLock { waiters -> CheckedContinuation<Void, Never>? in
            guard waiters[key]?.isEmpty == false else {
                waiters[key] = nil
                return nil
            }
            return waiters[key]?.removeFirst()
        }
        next?.resume()
    }
}

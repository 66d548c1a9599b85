import Synchronization

/// Counts events and wakes who waits for the next one.
public final class ProgressSignal: Sendable {
    private struct State {
        var count: UInt64 = 0
        var nextID: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    public init() {}

    public var count: UInt64 { state.withLock { $0.count } }

    public func fire() {
        let waiters = state.withLock { state in
            state.count += 1
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Returns once more than `seen` events have been counted. Throws CancellationError.
    public func wait(after seen: UInt64) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { enter(id, after: seen, $0) }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
        }
        try Task.checkCancellation()
    }

    private func enter(_ id: UInt64, after seen: UInt64, _ continuation: CheckedContinuation<Void, Never>) {
        let isDue = state.withLock { state in
            // The cancellation handler may have run before there was a waiter to find.
            guard state.count <= seen, !Task.isCancelled else { return true }
            state.waiters[id] = continuation
            return false
        }
        if isDue { continuation.resume() }
    }
}

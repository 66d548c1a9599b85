import Dispatch
import Synchronization

/// Runs calls that block on the disk, a bounded number at once, off Swift's cooperative threads.
///
/// Calls over the width wait in the order they came.
final class BlockingPool: Sendable {
    private struct State {
        var running = 0
        var waiting: [@Sendable () -> Void] = []
        var firstWaiting = 0
    }

    private let width: Int
    private let queue: DispatchQueue
    private let state = Mutex(State())

    init(label: String, width: Int) {
        precondition(width > 0)
        self.width = width
        queue = DispatchQueue(label: label, attributes: .concurrent)
    }

    /// `body` is told of the task's cancellation through its argument, which it asks between steps.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (Cancellation) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        let cancellation = Cancellation()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, StoreError>, Never>) in
                submit {
                    continuation.resume(
                        returning: Result { () throws(StoreError) in
                            try cancellation.check()
                            return try body(cancellation)
                        })
                }
            }
        } onCancel: {
            cancellation.cancel()
        }
        return try result.get()
    }

    private func submit(_ work: @escaping @Sendable () -> Void) {
        let starts = state.withLock { state in
            guard state.running < width else {
                state.waiting.append(work)
                return false
            }
            state.running += 1
            return true
        }
        if starts { queue.async { self.work(work) } }
    }

    private func work(_ first: @Sendable () -> Void) {
        first()
        while let next = next() { next() }
    }

    private func next() -> (@Sendable () -> Void)? {
        state.withLock { state in
            guard state.firstWaiting < state.waiting.count else {
                state.waiting.removeAll()
                state.firstWaiting = 0
                state.running -= 1
                return nil
            }
            defer { state.firstWaiting += 1 }
            return state.waiting[state.firstWaiting]
        }
    }
}

/// Says to a blocking call that nobody waits for it any more.
final class Cancellation: Sendable {
    private let isCancelled = Atomic(false)

    func cancel() {
        isCancelled.store(true, ordering: .relaxed)
    }

    func check() throws(StoreError) {
        if isCancelled.load(ordering: .relaxed) {
            throw StoreError(.cancelled, message: "the request was cancelled")
        }
    }
}

import Platform
import Synchronization

/// Runs calls that block on the disk on ``BlockingThreads``, for tasks that may be cancelled.
final class BlockingPool: Sendable {
    private let threads: BlockingThreads

    init(label: String, width: Int) {
        threads = BlockingThreads(label: label, count: width)
    }

    /// `body` is told of the task's cancellation through its argument, which it asks between steps.
    func run<Value: Sendable>(
        _ body: @escaping @Sendable (Cancellation) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        let cancellation = Cancellation()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, StoreError>, Never>) in
                threads.run {
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

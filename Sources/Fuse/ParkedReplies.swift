import CFuse
import Synchronization
import SystemPackage

/// An answer that the file system owes.
protocol ParkedReply: AnyObject, Sendable {
    /// The caller was interrupted: the operation is told so.
    func interrupt()
    /// Answers in place of the operation, unless it was faster.
    func abandon(with errno: Errno)
}

/// The answers that wait for the network. The kernel bounds their number by the processes that wait and its own
/// limit of background requests (``Negotiation``).
final class ParkedReplies: Sendable {
    private let replies = Mutex<[UInt: any ParkedReply]>([:])
    private let deliveries = Atomic<Int>(0)

    func insert(_ reply: any ParkedReply, for request: KernelRequest) {
        replies.withLock { $0[request.identity] = reply }
    }

    func remove(_ request: KernelRequest) {
        _ = replies.withLock { $0.removeValue(forKey: request.identity) }
    }

    var count: Int { replies.withLock { $0.count } }

    /// Asks libfuse to call ``interrupt(_:)`` when the request is interrupted. Before the operation starts: later
    /// the request may be answered and gone.
    func watch(_ request: KernelRequest) {
        fuse_req_interrupt_func(
            request.raw,
            { request, parked in
                guard let request, let parked else { return }
                Unmanaged<ParkedReplies>.fromOpaque(parked).takeUnretainedValue().interrupt(KernelRequest(request))
            },
            Unmanaged.passUnretained(self).toOpaque()
        )
    }

    /// Nothing is found for a request that is not parked yet: then ``DeferredReply/park(_:)`` sees the interruption.
    private func interrupt(_ request: KernelRequest) {
        replies.withLock { $0[request.identity] }?.interrupt()
    }

    /// Marks an answer under way: the session must not be freed meanwhile.
    func delivering(_ body: () -> Void) {
        deliveries.add(1, ordering: .sequentiallyConsistent)
        body()
        deliveries.subtract(1, ordering: .sequentiallyConsistent)
    }

    /// Answers what still waits when the session ends, and waits for answers under way. No request is taken
    /// any more.
    func abandonAll() {
        let left = replies.withLock { Array($0.values) }
        for reply in left { reply.abandon(with: .socketNotConnected) }
        while deliveries.load(ordering: .sequentiallyConsistent) > 0 { usleep(1_000) }
    }
}

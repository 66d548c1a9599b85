import CFuse
import FileSystem
import Synchronization
import SystemPackage

/// The answer to a request that may have to wait for the network: given once, by whoever comes first of the
/// operation and the end of the session.
///
/// Lock order: the state of a reply, then the list of parked replies. No lock is held while libfuse answers or the
/// operation is interrupted. libfuse calls ``ParkedReplies/interrupt(_:)`` under its own lock of the request, which
/// answering does not take: so an operation may answer from within its `interrupt()`.
final class DeferredReply<Value: Sendable>: ParkedReply, Sendable {
    private enum State {
        /// The operation has not returned yet, or waits (`pending`).
        case open(pending: (any PendingOperation)?)
        case answered
    }

    private let state = Mutex(State.open(pending: nil))
    private let request: KernelRequest
    private let parked: ParkedReplies
    /// Returns whether the kernel took the value.
    private let send: @Sendable (consuming RequestReply, Result<Value, Errno>) -> Bool
    /// For a value that the kernel did not take.
    private let giveBack: @Sendable (Value) -> Void

    init(
        _ request: KernelRequest,
        parked: ParkedReplies,
        send: @escaping @Sendable (consuming RequestReply, Result<Value, Errno>) -> Bool,
        giveBack: @escaping @Sendable (Value) -> Void
    ) {
        self.request = request
        self.parked = parked
        self.send = send
        self.giveBack = giveBack
    }

    deinit {
        if case .open = state.withLock({ $0 }) { RequestReply(request).fail(.ioError) }
    }

    /// Waits for the operation. If it has answered meanwhile there is nothing to wait for.
    func park(_ pending: any PendingOperation) {
        let interrupted = state.withLock { state in
            guard case .open = state else { return false }
            state = .open(pending: pending)
            parked.insert(self, for: request)
            return request.isInterrupted
        }
        if interrupted { pending.interrupt() }
    }

    /// The operation's answer; one that comes too late is given back.
    func answer(_ result: Result<Value, Errno>) {
        parked.delivering {
            let delivered = close() && send(RequestReply(request), result)
            if !delivered, case .success(let value) = result { giveBack(value) }
        }
    }

    func interrupt() {
        pending?.interrupt()
    }

    func abandon(with errno: Errno) {
        let pending = pending
        if close() { RequestReply(request).fail(errno) }
        pending?.interrupt()
    }

    private var pending: (any PendingOperation)? {
        state.withLock { state in
            guard case .open(let pending) = state else { return nil }
            return pending
        }
    }

    /// Whether it was open. From then on the request belongs to the caller alone, and nobody finds it in the list.
    private func close() -> Bool {
        state.withLock { state in
            guard case .open(let pending) = state else { return false }
            if pending != nil { parked.remove(request) }
            state = .answered
            return true
        }
    }
}

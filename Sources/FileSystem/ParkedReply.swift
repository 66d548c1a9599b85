import Platform
import Synchronization
import SystemPackage

/// An answer that waits for the network: given once, by whoever comes first of the work, the deadline and an
/// interrupt.
final class ParkedReply<Value: Sendable>: PendingOperation {
    private let reply: Mutex<Reply<Value>?>
    private let time: any TimeSource
    private let otherwise: @Sendable (ParkedReply) -> Duration?
    private let callOffDeadline = Mutex<(@Sendable () -> Void)?>(nil)

    /// When `limit` has passed, `otherwise` answers, or says how much longer to wait.
    init(
        _ reply: @escaping Reply<Value>, within limit: Duration, time: any TimeSource,
        otherwise: @escaping @Sendable (ParkedReply) -> Duration?
    ) {
        self.reply = Mutex(reply)
        self.time = time
        self.otherwise = otherwise
        setDeadline(in: limit)
    }

    private func setDeadline(in duration: Duration) {
        let callOff = time.after(duration) { [weak self] in
            guard let self, isWaiting, let more = otherwise(self) else { return }
            setDeadline(in: more)
        }
        callOffDeadline.withLock { $0 = callOff }
        if !isWaiting { callOff() }
    }

    private var isWaiting: Bool { reply.withLock { $0 != nil } }

    /// Does nothing if the answer was given already. Returns whether this was the answer.
    @discardableResult
    func answer(_ result: Result<Value, Errno>) -> Bool {
        let reply = reply.withLock { reply in
            defer { reply = nil }
            return reply
        }
        guard let reply else { return false }
        callOffDeadline.withLock { $0 }?()
        reply(result)
        return true
    }

    func interrupt() { answer(.failure(.interrupted)) }
}

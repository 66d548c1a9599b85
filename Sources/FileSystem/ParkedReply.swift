import Platform
import Synchronization
import SystemPackage

/// An answer that waits for the network: given once, by whoever comes first of the work, the deadline and an
/// interrupt.
final class ParkedReply<Value: Sendable>: PendingOperation {
    private let reply: Mutex<Reply<Value>?>
    private let deadline: Mutex<Task<Void, Never>?>

    /// `otherwise` answers when `limit` has passed.
    init(
        _ reply: @escaping Reply<Value>, within limit: Duration, time: any TimeSource,
        otherwise: @escaping @Sendable (ParkedReply) -> Void
    ) {
        self.reply = Mutex(reply)
        deadline = Mutex(nil)
        let task = Task { [weak self] in
            do { try await time.sleep(for: limit) } catch { return }
            if let self { otherwise(self) }
        }
        deadline.withLock { $0 = task }
        if self.reply.withLock({ $0 == nil }) { task.cancel() }
    }

    /// Does nothing if the answer was given already. Returns whether this was the answer.
    @discardableResult
    func answer(_ result: Result<Value, Errno>) -> Bool {
        let reply = reply.withLock { reply in
            defer { reply = nil }
            return reply
        }
        guard let reply else { return false }
        deadline.withLock { $0?.cancel() }
        reply(result)
        return true
    }

    func interrupt() { answer(.failure(.interrupted)) }
}

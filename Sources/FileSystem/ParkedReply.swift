import Platform
import Synchronization
import SystemPackage

/// An answer that waits for the network: given once, by whoever comes first of the work, the deadline and an
/// interrupt.
final class ParkedReply<Value: Sendable>: PendingOperation {
    private let reply: Mutex<Reply<Value>?>
    private let deadline: Mutex<Task<Void, Never>?>

    /// When `limit` has passed, `otherwise` answers, or says how much longer to wait.
    init(
        _ reply: @escaping Reply<Value>, within limit: Duration, time: any TimeSource,
        otherwise: @escaping @Sendable (ParkedReply) -> Duration?
    ) {
        self.reply = Mutex(reply)
        deadline = Mutex(nil)
        let task = Task { [weak self] in
            var wait: Duration? = limit
            while let duration = wait {
                do { try await time.sleep(for: duration) } catch { return }
                guard let self else { return }
                wait = otherwise(self)
            }
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

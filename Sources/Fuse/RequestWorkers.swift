import CFuse
import CLinux
import Dispatch
import Logging
import Synchronization
import SystemPackage

/// The threads that take requests from the kernel and handle them.
///
/// libfuse has such a loop too; before 3.12 it does not bound its threads, and no version ends it promptly on request.
final class RequestWorkers: Sendable {
    private struct State {
        var count = WorkerCount()
        var threads: Set<pthread_t> = []
    }

    private let session: SessionPointer
    private let logger: Logger
    private let state = Mutex(State())
    private let ended = DispatchGroup()
    /// Interrupts a wait for requests; its handler does nothing.
    private static let wakeSignal = __libc_current_sigrtmin() + 3

    init(session: SessionPointer, logger: Logger) {
        self.session = session
        self.logger = logger
    }

    func start() throws(Errno) {
        Self.installWakeHandler()
        for _ in 0..<WorkerCount.maximumIdle { try startOne() }
    }

    /// Returns when the last thread has left: after ``stop()``, or because the mount has gone.
    func wait() {
        ended.wait()
    }

    /// Makes the threads leave when they are done with the requests that they have; returns at once.
    func stop() {
        fuse_session_exit(session.raw)
        do {
            try Thread.start("sluice-stop") { self.wakeUntilEnded() }
        } catch {
            wakeUntilEnded()
        }
    }

    /// A thread may be about to wait when the signal comes: so again until none is left.
    private func wakeUntilEnded() {
        repeat { wakeAll() } while ended.wait(timeout: .now() + .milliseconds(10)) == .timedOut
    }

    private func wakeAll() {
        // A thread takes itself off the list under this lock before it ends: those on it exist.
        state.withLock { state in
            for thread in state.threads { pthread_kill(thread, Self.wakeSignal) }
        }
    }

    private func startOne() throws(Errno) {
        ended.enter()
        state.withLock { $0.count.started() }
        do {
            try Thread.start("sluice-request") { self.work() }
        } catch {
            state.withLock { $0.count.ended() }
            ended.leave()
            throw error
        }
    }

    private func work() {
        let thread = pthread_self()
        Self.letWake()
        state.withLock { _ = $0.threads.insert(thread) }
        takeRequests()
        state.withLock { _ = $0.threads.remove(thread) }
        ended.leave()
    }

    private func takeRequests() {
        var buffer = fuse_buf()
        defer { free(buffer.mem) }
        while receive(into: &buffer) {
            if state.withLock({ $0.count.taken() }) { replaceBusyThread() }
            fuse_session_process_buf(session.raw, &buffer)
            guard state.withLock({ $0.count.finished() }) else { return }
        }
        state.withLock { $0.count.ended() }
    }

    /// Without another thread the work goes on, one request at a time less.
    private func replaceBusyThread() {
        do {
            try startOne()
        } catch {
            logger.warning("no further request thread", metadata: ["error": "\(error)"])
        }
    }

    /// False when the session is over.
    private func receive(into buffer: inout fuse_buf) -> Bool {
        while fuse_session_exited(session.raw) == 0 {
            let count = fuse_session_receive_buf(session.raw, &buffer)
            switch -count {
            case ..<0: return true
            case 0: return false
            case EINTR, EAGAIN, ENOENT: continue
            case let errno:
                logger.error("reading requests failed", metadata: ["error": "\(Errno(rawValue: errno))"])
                stop()
                return false
            }
        }
        return false
    }

    /// Whoever called ``start()`` may have all signals blocked, as the threads of Swift's pool do.
    private static func letWake() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, wakeSignal)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }

    private static func installWakeHandler() {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in }
        sigaction(wakeSignal, &action, nil)
    }
}

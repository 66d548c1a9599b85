import CLinux
import Fuse
import Logging
import Synchronization

/// What SIGTERM, SIGINT and SIGHUP do: they end the process as long as nothing is mounted, then the mount. A second one
/// tells that nobody wants to wait for the bucket.
final class Termination: Sendable {
    private let session = Mutex<FuseSession?>(nil)
    private let signals = Atomic<Int>(0)

    /// Signals since the mount.
    var count: Int { signals.load(ordering: .acquiring) }

    init(logger: Logger) throws(FuseError) {
        try TerminationSignals.wait { [self] signal in
            guard let session = session.withLock({ $0 }) else {
                Progress.tell("ended by signal \(signal) before anything was mounted")
                // Without exit(3)'s handlers: other threads are at work. The state directory is made for this.
                _exit(CommandFailure.Code.failed.rawValue)
            }
            logger.notice("ending", metadata: ["signal": "\(signal)"])
            signals.add(1, ordering: .acquiringAndReleasing)
            session.stop()
        }
    }

    /// From now on, signals end the session.
    func stops(_ session: FuseSession) {
        self.session.withLock { $0 = session }
    }
}

import CLinux
import Glibc
import SystemPackage

/// SIGTERM, SIGINT and SIGHUP as one call on a thread of its own, not as an interruption of some other thread.
public enum TerminationSignals {
    /// Call it before any other thread starts, so that all inherit it; also makes writes to a closed pipe an error.
    public static func block() {
        var signals = set
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Calls `hook` with the number of each signal that arrives, one at a time, for the life of the process.
    public static func wait(_ hook: @escaping @Sendable (Int32) -> Void) throws(FuseError) {
        do {
            try Thread.start("sluice-signals") {
                var signals = set
                pthread_sigmask(SIG_BLOCK, &signals, nil)
                var number: Int32 = 0
                while sigwait(&signals, &number) == 0 { hook(number) }
            }
        } catch {
            throw .thread(error)
        }
    }

    private static var set: sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, number) }
        return signals
    }
}

import CFuse
import CLinux
import SystemPackage

/// SIGTERM, SIGINT and SIGHUP as one call on a thread of its own, not as an interruption of some other thread.
///
/// Through a handler and a pipe: sigwait(3) needs the signals blocked in every thread, and a main thread that Swift's
/// concurrency has parked (dispatch_main) waits with all signals let through.
public enum TerminationSignals {
    /// Keeps the signals from ending the process. Call it once, early; also makes writes to a closed pipe an error.
    public static func capture() throws(FuseError) {
        guard sluice_catch_termination_signals() >= 0 else { throw .thread(Errno(rawValue: sluice_errno())) }
    }

    /// Calls `hook` with the number of each signal that arrived since ``capture()``, one at a time, for the life of
    /// the process.
    public static func wait(_ hook: @escaping @Sendable (Int32) -> Void) throws(FuseError) {
        let signals = FileDescriptor(rawValue: sluice_catch_termination_signals())
        guard signals.rawValue >= 0 else { throw .thread(Errno(rawValue: sluice_errno())) }
        do {
            try Thread.start("sluice-signals") {
                while let number = next(signals) { hook(Int32(number)) }
            }
        } catch {
            throw .thread(error)
        }
    }

    private static func next(_ signals: FileDescriptor) -> UInt8? {
        var number: UInt8 = 0
        let count = try? withUnsafeMutableBytes(of: &number) { try signals.read(into: $0) }
        return count == 1 ? number : nil
    }
}

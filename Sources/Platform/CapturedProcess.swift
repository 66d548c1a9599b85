import CLinux
import Glibc
import SystemPackage

/// Runs a program to its end and takes what it writes to standard output, within bounds of time and size.
///
/// The program leads a process group of its own, which is killed whatever way it ends; it inherits nothing but the
/// environment that it is given, and its standard error goes nowhere.
public enum CapturedProcess {
    public enum Failure: Error, Equatable, Sendable {
        /// It could not be started.
        case start(Errno)
        /// It ended with this code, or by the signal that is 128 less.
        case exit(Int32)
        case tookTooLong
        case wroteTooMuch
    }

    /// How often a program that has closed its output is asked whether it has ended; milliseconds.
    private static let exitPause: Int32 = 5

    /// Waits on the calling thread.
    ///
    /// - Parameters:
    ///   - arguments: the program, looked for in PATH, and its arguments; not empty, without NUL.
    ///   - environment: all variables that it gets.
    ///   - timeout: after which it is killed.
    ///   - limit: bytes that it may write.
    public static func output(
        of arguments: [String], environment: [String: String], timeout: Duration, limit: Int
    ) throws(Failure) -> [UInt8] {
        var ends: [Int32] = [0, 0]
        guard sluice_pipe(&ends) == 0 else { throw .start(Errno(rawValue: sluice_errno())) }
        defer { close(ends[0]) }
        let child: pid_t
        do {
            defer { close(ends[1]) }
            child = try start(arguments, environment, output: ends[1])
        }
        let deadline = SystemTime().monotonic + timeout
        let result = Result { () throws(Failure) in try read(ends[0], until: deadline, limit) }
            .flatMap { bytes in exited(child, until: deadline) ? .success(bytes) : .failure(.tookTooLong) }
        // Before its leader is waited for, the group cannot be another's.
        kill(-child, SIGKILL)
        var status: Int32 = 0
        _ = try? systemCall { waitpid(child, &status, 0) }
        let bytes = try result.get()
        let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + status & 0x7f
        guard code == 0 else { throw .exit(code) }
        return bytes
    }

    private static func start(
        _ arguments: [String], _ environment: [String: String], output: Int32
    ) throws(Failure) -> pid_t {
        let texts = arguments.map { strdup($0) } + [nil]
        let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in texts + variables { free(pointer) } }
        var child: pid_t = 0
        let error = sluice_spawn_group(&child, texts, variables, output)
        guard error == 0 else { throw .start(Errno(rawValue: error)) }
        return child
    }

    private static func read(_ descriptor: Int32, until deadline: Duration, _ limit: Int) throws(Failure) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            let left = deadline - SystemTime().monotonic
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard left > .zero, let ready = try? systemCall({ poll(&entry, 1, milliseconds(left)) }), ready > 0 else {
                if left > .zero { continue }
                throw .tookTooLong
            }
            guard let count = try? systemCall({ Glibc.read(descriptor, &piece, piece.count) }), count > 0 else {
                return bytes
            }
            bytes += piece.prefix(count)
            if bytes.count > limit { throw .wroteTooMuch }
        }
    }

    private static func exited(_ child: pid_t, until deadline: Duration) -> Bool {
        var hasExited: Int32 = 0
        while sluice_wait_exited(child, &hasExited) == 0, hasExited == 0 {
            guard SystemTime().monotonic < deadline else { return false }
            poll(nil, 0, exitPause)
        }
        return true
    }

    /// At least one, so that a poll waits.
    private static func milliseconds(_ duration: Duration) -> Int32 {
        Int32(max(1, min(duration / .milliseconds(1), 60_000)))
    }
}

import CLinux
import Foundation
import Platform

import struct SystemPackage.Errno

/// Starts the daemon: this program again, with `--foreground`, in a session of its own; no fork after threads. The
/// two talk through a pipe, whose end the daemon learns from its environment.
enum Launcher {
    static let readinessVariable = "SLUICE_READY_FD"
    private static let ready = UInt8(ascii: "+")

    /// Returns when the mount answers. The daemon's messages go to this process's standard error until then.
    static func launch(arguments: [String]) throws(CommandFailure) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw CommandFailure("cannot start the daemon: no pipe (\(lastErrno()))") }
        defer { close(ends[0]) }
        _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
        let child: pid_t
        do {
            defer { close(ends[1]) }
            // Right behind the name of the command: behind a "--" it would be no option.
            child = try spawn(arguments.prefix(1) + ["--foreground"] + arguments.dropFirst(), readiness: ends[1])
        }
        var answer: UInt8 = 0
        let count = try? systemCall { read(ends[0], &answer, 1) }
        if count == 1 && answer == ready { return }
        throw outcome(of: child)
    }

    /// In the daemon: tells the starter that the mount answers. Whether one waits; true for a daemon without a starter.
    static func reportReady(_ environment: [String: String]) -> Bool {
        guard let descriptor = environment[readinessVariable].flatMap({ Int32($0) }) else { return true }
        defer { close(descriptor) }
        var answer = ready
        return (try? systemCall { write(descriptor, &answer, 1) }) == 1
    }

    static func isDaemon(_ environment: [String: String]) -> Bool { environment[readinessVariable] != nil }

    private static func spawn(_ arguments: [String], readiness: Int32) throws(CommandFailure) -> pid_t {
        var attributes = posix_spawnattr_t()
        var actions = posix_spawn_file_actions_t()
        posix_spawnattr_init(&attributes)
        posix_spawn_file_actions_init(&actions)
        defer {
            posix_spawnattr_destroy(&attributes)
            posix_spawn_file_actions_destroy(&actions)
        }
        posix_spawnattr_setflags(&attributes, Int16(sluice_spawn_setsid()))
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        var environment = ProcessInfo.processInfo.environment
        environment[readinessVariable] = String(readiness)
        var arguments = ([CommandLine.arguments[0]] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in arguments + variables { free(pointer) } }
        var child: pid_t = 0
        let result = posix_spawn(&child, "/proc/self/exe", &actions, &attributes, &arguments, &variables)
        guard result == 0 else { throw CommandFailure("cannot start the daemon: \(Errno(rawValue: result))") }
        return child
    }

    /// The daemon ended before it was ready; it has said why.
    private static func outcome(of child: pid_t) -> CommandFailure {
        var status: Int32 = 0
        while waitpid(child, &status, 0) == -1 && errno == EINTR {}
        let hasExited = status & 0x7f == 0
        let code = CommandFailure.Code(rawValue: (status >> 8) & 0xff)
        if hasExited, let code { return CommandFailure("", code: code) }
        return CommandFailure("the daemon died before the mount was ready (wait status \(status))")
    }

    private static func lastErrno() -> Errno { Errno(rawValue: errno) }
}

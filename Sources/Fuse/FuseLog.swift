import CFuse
import Logging
import Synchronization

/// Where libfuse's own messages go: the library has one log function for the whole process.
enum FuseLog {
    private struct State {
        var logger: Logger?
        /// Lines since ``capture()``; nil: not wanted.
        var captured: [String]?
    }

    private static let state = Mutex(State())

    static func send(to logger: Logger) {
        state.withLock { $0.logger = logger }
        sluice_fuse_set_log_function { level, line in
            guard let line else { return }
            FuseLog.receive(level: level, line: String(cString: line))
        }
    }

    /// Keeps lines until ``takeCaptured()``, to tell why a mount failed.
    static func capture() {
        state.withLock { $0.captured = [] }
    }

    static func takeCaptured() -> String {
        state.withLock { state in
            defer { state.captured = nil }
            return (state.captured ?? []).joined(separator: "; ")
        }
    }

    /// Levels are those of syslog(3).
    private static func receive(level: Int32, line: String) {
        let text = line.split(whereSeparator: \.isNewline).joined(separator: " ")
        let logger = state.withLock { state -> Logger? in
            if state.captured != nil, state.captured?.count ?? 0 < 16 {
                state.captured?.append(text)
                return nil
            }
            return state.logger
        }
        let severity: Logger.Level =
            switch level {
            case ...3: .error
            case 4: .warning
            case 5, 6: .info
            default: .debug
            }
        logger?.log(level: severity, "libfuse", metadata: ["message": "\(text)"])
    }
}

/// What ends a command: a sentence for the person who gave it, and the exit code.
struct CommandFailure: Error, CustomStringConvertible {
    /// The exit codes that people and scripts rely on.
    enum Code: Int32 {
        case failed = 1
        case usage = 2
        /// Time ran out; what is not in the bucket is safe in the state directory.
        case timedOut = 3
    }

    var description: String
    var code: Code

    init(_ description: String, code: Code = .failed) {
        self.description = description
        self.code = code
    }

    /// Something about the command line or the configuration is wrong.
    static func usage(_ description: String) -> CommandFailure { CommandFailure(description, code: .usage) }
}

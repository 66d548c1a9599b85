import ArgumentParser

/// `--timeout`, the same for all commands that wait for the bucket.
struct TimeoutArgument: ParsableArguments {
    /// About 30 years; nobody waits longer, and no arithmetic with it overflows. Seconds.
    private static let longest: Double = 1e9

    @Option(help: ArgumentHelp("Wait no longer than this for the bucket.", valueName: "seconds"))
    var timeout: Double?

    func validate() throws {
        // Also refuses what is no number, such as "nan".
        if let timeout, !(0...Self.longest).contains(timeout) {
            throw ValidationError("--timeout takes a number of seconds from 0 to 1000000000.")
        }
    }
}

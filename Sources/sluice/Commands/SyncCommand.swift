import ArgumentParser

struct SyncCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sync",
        abstract: "Wait until everything under a path is in the bucket, verified.",
        discussion: "A file that is open for writing is sent as it is now. Exits with 3 when the time ran out.")

    @Argument(help: "A file or directory in a mount.")
    var path: String

    @OptionGroup
    var limit: TimeoutArgument

    func run() throws {
        let client = try ControlClient(path: path)
        let request = ControlRequest(action: .drain, path: client.relative(path), timeout: limit.timeout)
        let answer = try client.ask(request, progress: Progress(verb: "syncing").show)
        guard let left = answer.remainder, !left.isNothing else { return }
        throw CommandFailure("time ran out with \(left.text) not in the bucket", code: .timedOut)
    }
}

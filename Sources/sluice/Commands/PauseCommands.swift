import ArgumentParser

struct PauseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Hold uploads back until resume.",
        discussion: "Reading and writing go on; uploads under way end first.")

    @Argument(help: "Anything in the mount.")
    var path: String

    func run() throws {
        _ = try ControlClient(path: path).ask(ControlRequest(action: .pause))
    }
}

struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "resume", abstract: "Let uploads go on after pause.")

    @Argument(help: "Anything in the mount.")
    var path: String

    func run() throws {
        _ = try ControlClient(path: path).ask(ControlRequest(action: .resume))
    }
}

import ArgumentParser
import CLinux
import Foundation
import Fuse

/// All commands.
struct SluiceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice",
        abstract: "Mounts an S3 bucket as a directory, with a durable write-back store on the local disk.",
        discussion: """
            Programs write and read files as on a local disk. What they write is kept in a state directory, goes to the \
            bucket in the background, and survives crashes, power cuts and hours without a network.

            Exit codes: 0 done; 1 failed; 2 wrong usage; 3 time ran out with data still safe in the state directory.
            """,
        version: "0.1.0",
        subcommands: [
            MountCommand.self, UnmountCommand.self, SyncCommand.self, StatusCommand.self, PauseCommand.self,
            ResumeCommand.self, CheckCommand.self, FsckCommand.self,
        ])
}

/// Runs the command and ends with the exit code that scripts rely on.
@main
enum Main {
    static func main() async {
        do {
            var command = try SluiceCommand.parseAsRoot()
            if let mount = command as? MountCommand, mount.foreground { try TerminationSignals.capture() }
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let failure as CommandFailure {
            if !failure.description.isEmpty { Progress.tell(failure.description) }
            exit(failure.code.rawValue)
        } catch {
            endParsing(error)
        }
    }

    /// Help and the version are successes; what the parser refuses is wrong usage; all else has failed.
    private static func endParsing(_ error: any Error) -> Never {
        switch SluiceCommand.exitCode(for: error) {
        case .success: SluiceCommand.exit(withError: error)
        case .validationFailure:
            FileHandle.standardError.write(Data((SluiceCommand.fullMessage(for: error) + "\n").utf8))
            exit(CommandFailure.Code.usage.rawValue)
        default:
            Progress.tell("\(error)")
            exit(CommandFailure.Code.failed.rawValue)
        }
    }
}

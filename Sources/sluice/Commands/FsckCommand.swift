import ArgumentParser
import Cache
import Foundation
import Platform

struct FsckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fsck",
        abstract: "Verify a state directory offline; list and save what is not in the bucket.",
        discussion: """
            Works without the network and changes nothing in the state directory, also when its journal is damaged or \
            gone. With --salvage everything that is not in the bucket, and what is in quarantine, is copied as plain \
            files under its path; nothing is overwritten.

            Exit codes: 0 nothing is damaged (data that waits for the bucket is none); 1 damage was found, or something \
            could not be read or saved; 2 wrong usage.
            """)

    @Argument(help: "The state directory of a mount that does not run.")
    var stateDirectory: String

    @Option(help: ArgumentHelp("Copy what is not in the bucket into this directory.", valueName: "dir"))
    var salvage: String?

    func run() throws {
        let path = ControlClient.absolute(stateDirectory)
        let target = salvage.map(ControlClient.absolute)
        if let target, target == path || target.hasPrefix(path + "/") {
            throw CommandFailure.usage("\(target) lies in the state directory: name another directory for --salvage")
        }
        do {
            let examination = try StateExamination(path: path, boot: .current())
            Self.show(FsckText.lines(examination.report, at: path))
            var isFailed = examination.report.isDamaged
            if let target { isFailed = try save(examination, into: target) || isFailed }
            if isFailed { throw CommandFailure("") }
        } catch let error as CacheError {
            throw CommandFailure("\(error)")
        }
    }

    /// Whether anything could not be saved.
    private func save(_ examination: StateExamination, into target: String) throws -> Bool {
        var salvage = try Salvage(of: examination, into: target)
        salvage.run(examination.report)
        Self.show(FsckText.lines(salvage.outcomes, at: target))
        return salvage.outcomes.contains(where: \.isFailure)
    }

    private static func show(_ lines: [String]) {
        let text = lines.map { PrintableText.line($0) + "\n" }.joined()
        FileHandle.standardOutput.write(Data(text.utf8))
    }
}

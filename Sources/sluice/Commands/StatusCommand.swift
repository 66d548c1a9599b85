import ArgumentParser
import Foundation
import Fuse

struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what is not in the bucket yet, rates, the link, errors, conflicts and the cache.",
        discussion: "Without a path, all mounts of this machine are shown.")

    @Argument(help: "Anything in a mount.")
    var path: String?

    @Flag(help: "Print JSON: one object for a path, else an array.")
    var json = false

    @Flag(help: "Print again every second.")
    var watch = false

    func run() throws {
        repeat {
            let isComplete = try show()
            if watch { Thread.sleep(forTimeInterval: 1) } else if !isComplete { throw CommandFailure("") }
        } while watch
    }

    /// Whether every mount has told its status.
    private func show() throws -> Bool {
        let (reports, isComplete) = if let path { ([try Self.report(path)], true) } else { try all() }
        let text = json ? try text(reports) : reports.map(\.text).joined(separator: "\n")
        FileHandle.standardOutput.write(Data((text.isEmpty ? "" : text + "\n").utf8))
        return isComplete
    }

    /// Of this machine. A mount that is dead or another user's does not keep the others from being shown.
    private func all() throws -> (reports: [StatusReport], isComplete: Bool) {
        let places = try MountTable.current().mounts.filter { $0.type == ControlClient.mountType }.map(\.mountPoint)
        if places.isEmpty { Progress.tell("nothing is mounted with sluice on this machine") }
        let reports = places.compactMap { place in
            do { return try Self.report(place) } catch { Progress.tell("\(error)") }
            return nil
        }
        return (reports, reports.count == places.count)
    }

    private static func report(_ place: String) throws -> StatusReport {
        let answer = try ControlClient(path: place).ask(ControlRequest(action: .status))
        guard let status = answer.status else { throw CommandFailure("the daemon of \(place) gave no status") }
        return status
    }

    private func text(_ reports: [StatusReport]) throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if !watch { encoder.outputFormatting.insert(.prettyPrinted) }
        let data = path == nil ? try encoder.encode(reports) : try encoder.encode(reports.first)
        return String(decoding: data, as: UTF8.self)
    }
}

import ArgumentParser
import CLinux
import Foundation
import Platform

import struct SystemPackage.Errno

struct UnmountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unmount",
        abstract: "Bring everything into the bucket, then unmount.",
        discussion: """
            With --timeout the mount ends when the time is over, even if something is not in the bucket yet: it stays \
            in the state directory and goes on with the next mount. The exit code is 3 then.
            """)

    @Argument(help: "Where the bucket is mounted.")
    var mountpoint: String

    @OptionGroup
    var limit: TimeoutArgument

    @Flag(help: "Do not wait for the bucket at all.")
    var noDrain = false

    func run() throws {
        let place = try ControlClient.mountPoint(of: mountpoint)
        guard place == ControlClient.absolute(mountpoint) else {
            throw CommandFailure("\(mountpoint) is not a mount point; it lies in the mount at \(place)")
        }
        let client = try connect(place)
        let left = try client.flatMap(noDrain ? remainder : drain)
        try detach(place)
        client?.end()
        guard let left, !left.isNothing else { return }
        let message = "\(left.text) not in the bucket yet: safe in the state directory, and sent after the next mount"
        if noDrain { return Progress.tell(message) }
        throw CommandFailure(message, code: .timedOut)
    }

    /// Nil for a daemon that can bring nothing into the bucket any more, or that need not be asked.
    private func connect(_ place: String) throws(CommandFailure) -> ControlClient? {
        do {
            return try ControlClient(path: place)
        } catch {
            guard ControlClient.isDead(place) || noDrain else { throw error }
            return nil
        }
    }

    private func drain(_ client: ControlClient) throws(CommandFailure) -> ControlAnswer.Remainder? {
        let request = ControlRequest(action: .drain, path: "", timeout: limit.timeout)
        return try client.ask(request, progress: Progress(verb: "unmounting").show).remainder
    }

    private func remainder(_ client: ControlClient) throws(CommandFailure) -> ControlAnswer.Remainder? {
        try client.ask(ControlRequest(action: .status)).status.map {
            ControlAnswer.Remainder(files: $0.pending.files, bytes: $0.pending.bytes, operations: $0.pending.operations)
        }
    }

    private func detach(_ place: String) throws(CommandFailure) {
        if umount2(place, 0) == 0 { return }
        let errno = Errno(rawValue: sluice_errno())
        var reason = "\(errno)"
        if errno == .notPermitted {
            guard let complaint = Self.detachAsUser(place) else { return }
            reason = complaint
        }
        guard errno == .resourceBusy || reason.contains("busy") else {
            throw CommandFailure("cannot unmount \(place): \(reason)")
        }
        let holders = MountHolders(of: place).text
        throw CommandFailure(
            "\(place) is in use\(holders.map { " by \($0)" } ?? ""): end the programs that have files open or work in it,"
                + " then try again")
    }

    /// By the set-user-id program of libfuse; nil for a success, else what it said.
    private static func detachAsUser(_ place: String) -> String? {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["fusermount3", "-u", "--", place]
        process.standardError = output
        do { try process.run() } catch { return "\(error)" }
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        if process.terminationStatus == 0 { return nil }
        return String(decoding: text, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

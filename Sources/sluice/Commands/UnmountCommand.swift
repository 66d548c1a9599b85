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

    @Option(help: ArgumentHelp("Wait no longer than this for the bucket.", valueName: "seconds"))
    var timeout: Double?

    @Flag(help: "Do not wait for the bucket at all.")
    var noDrain = false

    func validate() throws {
        if let timeout, timeout < 0 { throw ValidationError("--timeout takes a number of seconds from 0 on.") }
    }

    func run() throws {
        let place = try ControlClient.mountPoint(of: mountpoint)
        guard place == ControlClient.absolute(mountpoint) else {
            throw CommandFailure("\(mountpoint) is not a mount point; it lies in the mount at \(place)")
        }
        let client = try? ControlClient(path: place)
        let left = try client.flatMap(noDrain ? remainder : drain)
        try detach(place)
        client?.waitForEnd()
        guard let left, !left.isNothing else { return }
        let message = "\(left.text) not in the bucket yet: safe in the state directory, and sent after the next mount"
        if noDrain { return Progress.tell(message) }
        throw CommandFailure(message, code: .timedOut)
    }

    private func drain(_ client: ControlClient) throws(CommandFailure) -> ControlAnswer.Remainder? {
        let request = ControlRequest(action: .drain, path: "", timeout: timeout)
        return try client.ask(request, progress: Progress(verb: "unmounting").show).remainder
    }

    private func remainder(_ client: ControlClient) throws(CommandFailure) -> ControlAnswer.Remainder? {
        try client.ask(ControlRequest(action: .status)).status.map {
            ControlAnswer.Remainder(files: $0.pending.files, bytes: $0.pending.bytes, operations: $0.pending.operations)
        }
    }

    private func detach(_ place: String) throws(CommandFailure) {
        if umount2(place, 0) == 0 { return }
        var errno = Errno(rawValue: sluice_errno())
        if errno == .notPermitted, Helper.run(["fusermount3", "-u", place]) { return }
        if errno == .notPermitted { errno = .resourceBusy }
        guard errno == .resourceBusy else { throw CommandFailure("cannot unmount \(place): \(errno)") }
        throw CommandFailure("\(place) is in use: end the programs that have files open or work in it, then try again")
    }
}

/// Other programs.
private enum Helper {
    /// Whether it ended with success.
    static func run(_ arguments: [String]) -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        do { try process.run() } catch { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}

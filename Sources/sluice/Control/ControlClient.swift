import CLinux
import FileSystem
import Foundation
import Fuse
import Platform

import struct SystemPackage.Errno

/// A command's connection to the daemon of one mount.
struct ControlClient {
    let mountPoint: String
    private let socket: ControlSocket

    /// The daemon of the mount that `path` is in.
    init(path: String) throws(CommandFailure) {
        let mountPoint = try Self.mountPoint(of: path)
        self.mountPoint = mountPoint
        let directory = try Self.controlDirectory(of: mountPoint)
        do {
            socket = try ControlSocket.connect(in: directory)
        } catch .permissionDenied {
            throw CommandFailure("only the user who mounted \(mountPoint), and root, may do this")
        } catch {
            throw CommandFailure("the daemon of \(mountPoint) does not answer (\(error)); see \(directory)/sluice.log")
        }
    }

    /// The nearest mount of ours at or above a path.
    static func mountPoint(of path: String) throws(CommandFailure) -> String {
        guard !path.isEmpty else { throw .usage("the path is empty: name something in a mount") }
        let absolute = absolute(path)
        do {
            let table = try MountTable.current()
            if let mount = table.mount(containing: absolute), mount.type == mountType { return mount.mountPoint }
        } catch {
            throw CommandFailure("cannot read the table of mounts: \(error)")
        }
        throw CommandFailure("\(path) is not in a sluice mount")
    }

    static let mountType = "fuse.sluice"

    /// Symbolic links resolved as far as the path is there; a dead mount is not.
    static func absolute(_ path: String) -> String {
        if let resolved = realpath(path, nil) {
            defer { free(resolved) }
            return String(cString: resolved)
        }
        let url = URL(fileURLWithPath: path).standardizedFileURL
        guard url.path != "/" else { return "/" }
        let parent = absolute(url.deletingLastPathComponent().path)
        return (parent == "/" ? "" : parent) + "/" + url.lastPathComponent
    }

    /// Whether the process behind a mount has ended. The kernel answers stat for a second by itself, but never statvfs.
    static func isDead(_ mountPoint: String) -> Bool {
        var status = statvfs()
        return statvfs(mountPoint, &status) != 0 && errno == ENOTCONN
    }

    /// `path` below the root of the mount, without slashes at its ends.
    func relative(_ path: String) -> String {
        String(Self.absolute(path).dropFirst(mountPoint.count).drop { $0 == "/" })
    }

    private static func controlDirectory(of mountPoint: String) throws(CommandFailure) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let name = FileSystemOptions.controlAttribute
        do {
            let count = try systemCall { getxattr(mountPoint, name, &buffer, buffer.count) }
            return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        } catch .socketNotConnected {
            throw CommandFailure("the daemon of \(mountPoint) is dead: unmount and mount again; no data is lost")
        } catch .permissionDenied {
            throw CommandFailure(
                "only the user who mounted \(mountPoint) may do this; root may end it with unmount --no-drain")
        } catch {
            throw CommandFailure("cannot ask \(mountPoint) for its daemon: \(error)")
        }
    }

    /// Sends a request and returns its last answer. Throws what the daemon refused.
    func ask(
        _ request: ControlRequest, progress: (ControlAnswer.Remainder) -> Void = { _ in }
    ) throws(CommandFailure) -> ControlAnswer {
        do {
            try socket.write(ControlCoding.line(request))
            while let line = try socket.readLine(limit: ControlCoding.lineLimit) {
                let answer = try ControlCoding.message(ControlAnswer.self, from: line)
                if let error = answer.error { throw CommandFailure(error) }
                guard let remainder = answer.progress else { return answer }
                progress(remainder)
            }
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure("the daemon of \(mountPoint) cannot be understood: \(error)")
        }
        throw CommandFailure("the daemon of \(mountPoint) ended; what is not in the bucket is in its state directory")
    }

    /// Ends the daemon and returns when it has ended: it goes on by itself where another mount namespace, such as that
    /// of a container, keeps the mount.
    func end() {
        // It may have ended by the unmount already.
        _ = try? ask(ControlRequest(action: .end))
        guard let line = try? ControlCoding.line(ControlRequest(action: .attend)), (try? socket.write(line)) != nil
        else { return }
        while (try? socket.readLine(limit: ControlCoding.lineLimit)) != nil {}
    }
}

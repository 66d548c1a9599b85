import CLinux
import FileSystem
import Fuse
import Logging
import SystemPackage

/// A session of the kernel on a directory of its own, until ``end(byStop:)``.
final class MountedSession: Sendable {
    let path: String
    let session: FuseSession

    init(
        _ operations: any FileSystemOperations, _ options: MountOptions, _ kernelCache: FuseKernelCache,
        _ logger: Logger
    ) throws {
        path = try Self.makeDirectory()
        session = FuseSession(operations: operations, options: options, kernelCache: kernelCache, logger: logger)
        do {
            try session.mount(at: path)
            try session.start()
        } catch {
            rmdir(path)
            throw error
        }
    }

    static func makeDirectory() throws -> String {
        var template = Array("/var/tmp/sluice-mount-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: sluice_errno()) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// As umount(8) does, by force if something in it is still open; or by the session's stop.
    @discardableResult
    func end(byStop: Bool = false) -> FuseSession.End {
        if byStop || umount2(path, 0) != 0 { session.stop() }
        let end = session.join()
        rmdir(path)
        return end
    }
}

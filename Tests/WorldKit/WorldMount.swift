import CLinux
import Dispatch
import FileSystem
import Fuse
import Logging
import SystemPackage

import class FileSystem.FileSystem

/// The file system of a world, mounted on a directory of its own until ``end()``.
final class WorldMount: Sendable {
    let path: String
    private let session: FuseSession

    init(_ fileSystem: FileSystem) throws {
        path = try Self.makeDirectory()
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let kernelCache = FuseKernelCache(logger: logger)
        fileSystem.attach(kernelCache)
        session = FuseSession(
            operations: fileSystem, options: MountOptions(source: "test"), kernelCache: kernelCache, logger: logger)
        do {
            try session.mount(at: path)
            try session.start()
        } catch {
            rmdir(path)
            throw error
        }
    }

    private static func makeDirectory() throws -> String {
        var template = Array("/var/tmp/sluice-world-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno(rawValue: sluice_errno()) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// As umount(8) does; by force if something in it is still open.
    func end() async {
        await withCheckedContinuation { done in
            // Not on a thread of Swift's pool, which requests under way may need.
            DispatchQueue.global().async { [self] in
                if umount2(path, 0) != 0 { session.stop() }
                _ = session.join()
                rmdir(path)
                done.resume()
            }
        }
    }
}

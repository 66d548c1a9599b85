import Dispatch
import FileSystem
import Fuse
import Logging

import class FileSystem.FileSystem

/// The file system of a world, mounted on a directory of its own until ``end()``.
final class WorldMount: Sendable {
    private let mounted: MountedSession

    var path: String { mounted.path }

    init(_ fileSystem: FileSystem) throws {
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let kernelCache = FuseKernelCache(logger: logger)
        fileSystem.attach(kernelCache)
        mounted = try MountedSession(fileSystem, MountOptions(source: "test"), kernelCache, logger)
    }

    /// As umount(8) does; by force if something in it is still open.
    func end() async {
        await withCheckedContinuation { done in
            // Not on a thread of Swift's pool, which requests under way may need.
            DispatchQueue.global().async { [mounted] in
                mounted.end()
                done.resume()
            }
        }
    }
}

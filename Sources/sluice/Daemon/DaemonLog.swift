import CLinux
import Foundation
import Platform

import struct SystemPackage.Errno

/// Where a daemon without a terminal writes: `sluice.log` in its state directory.
struct DaemonLog {
    /// At a start, a longer file becomes `sluice.log.1`. Bytes.
    private static let rotationSize: Int64 = 8 << 20

    private let descriptor: Int32

    /// Opens the log.
    init(in directory: String) throws(CommandFailure) {
        let path = directory + "/sluice.log"
        var status = stat()
        if lstat(path, &status) == 0 && Int64(status.st_size) > Self.rotationSize { rename(path, path + ".1") }
        descriptor = sluice_openat(
            AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0o600)
        guard descriptor >= 0, fstat(descriptor, &status) == 0, isRegularFile(status) else {
            throw CommandFailure("cannot write the log \(path) (\(Errno(rawValue: errno))): remove what is there")
        }
    }

    /// Sends standard output and error to the log from now on. Call it once.
    func redirect() {
        dup2(descriptor, STDOUT_FILENO)
        dup2(descriptor, STDERR_FILENO)
        close(descriptor)
    }
}

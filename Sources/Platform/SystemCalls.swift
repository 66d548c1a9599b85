import CLinux
import SystemPackage

/// Runs a system call that returns -1 and sets errno on failure, again while it is interrupted (EINTR).
public func systemCall<Result: SignedInteger>(_ call: () -> Result) throws(Errno) -> Result {
    while true {
        let result = call()
        if result != -1 { return result }
        let errno = Errno(rawValue: sluice_errno())
        if errno != .interrupted { throw errno }
    }
}

/// fdatasync(2): the bytes and what is needed to find them are on the disk.
public func synchronizeData(of descriptor: Int32) throws(Errno) {
    _ = try systemCall { fdatasync(descriptor) }
}

/// Size in bytes of the file at `path`, which must exist.
public func size(of path: String) throws(Errno) -> Int64 {
    var status = stat()
    _ = try systemCall { stat(path, &status) }
    return Int64(status.st_size)
}

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

/// S_ISREG of inode(7).
public func isRegularFile(_ status: stat) -> Bool { mode_t(status.st_mode) & mode_t(S_IFMT) == mode_t(S_IFREG) }

/// copy_file_range(2) at offsets: the count copied, fewer than asked for at the end of the source and at the kernel's
/// discretion. The bytes stay in the kernel, or are shared where the disk can.
public func copyRange(
    of source: Int32, at sourceOffset: Int64, to target: Int32, at targetOffset: Int64, count: Int
) throws(Errno) -> Int {
    Int(try systemCall { sluice_copy_file_range(source, sourceOffset, target, targetOffset, count) })
}

/// pwrite(2): the count of bytes written, which is less than all of them where the disk filled up in between.
public func writeBytes(_ bytes: ArraySlice<UInt8>, to descriptor: Int32, at offset: Int64) throws(Errno) -> Int {
    try systemCall { bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset)) } }
}

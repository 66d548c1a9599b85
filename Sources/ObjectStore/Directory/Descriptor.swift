import CLinux

/// An open file that is closed when its last owner lets go.
final class Descriptor: Sendable {
    let raw: Int32

    init(owning raw: Int32) {
        self.raw = raw
    }

    // Errors of writing were seen by fsync(2) before; close(2) has none to add.
    deinit { _ = close(raw) }

    func status() throws(SystemFault) -> FileStatus {
        var status = stat()
        try SystemFault.check("fstat") { fstat(raw, &status) }
        return FileStatus(status)
    }

    func synchronize() throws(SystemFault) {
        try SystemFault.check("fsync") { fsync(raw) }
    }

    /// Fills `buffer` from `offset` unless the file ends before; returns the bytes read.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(SystemFault) -> Int {
        var filled = 0
        while filled < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
            let count = try SystemFault.check("pread") {
                pread(raw, rest.baseAddress, rest.count, off_t(offset) + off_t(filled))
            }
            if count == 0 { break }
            filled += count
        }
        return filled
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(SystemFault) {
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            written += try SystemFault.check("pwrite") {
                pwrite(raw, rest.baseAddress, rest.count, off_t(offset) + off_t(written))
            }
        }
    }

    func write(_ bytes: [UInt8], at offset: Int64) throws(SystemFault) {
        var failure: SystemFault?
        bytes.withUnsafeBytes { buffer in
            do throws(SystemFault) {
                try write(buffer, at: offset)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// The whole of a small file of the store's own; of a huge one, which is none of them, the start.
    func contents(_ status: FileStatus) throws(SystemFault) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(min(status.size, 1 << 16)), alignment: 1)
        defer { buffer.deallocate() }
        return Array(buffer.prefix(try read(into: buffer, at: 0)))
    }

    /// Nil if the file has no such attribute or the file system has none at all.
    func attribute(_ name: String) throws(SystemFault) -> [UInt8]? {
        var value = [UInt8](repeating: 0, count: 4096)
        while true {
            do {
                let count = try SystemFault.check("fgetxattr") { fgetxattr(raw, name, &value, value.count) }
                return Array(value.prefix(count))
            } catch let error where error.code == ERANGE && value.count < 1 << 16 {
                value = [UInt8](repeating: 0, count: 1 << 16)
            } catch let error where [ENODATA, ENOTSUP].contains(error.code) {
                return nil
            }
        }
    }

    func setAttribute(_ name: String, _ value: [UInt8]) throws(SystemFault) {
        try SystemFault.check("fsetxattr") { fsetxattr(raw, name, value, value.count, 0) }
    }

    func removeAttribute(_ name: String) throws(SystemFault) {
        do {
            try SystemFault.check("fremovexattr") { fremovexattr(raw, name) }
        } catch let error where [ENODATA, ENOTSUP].contains(error.code) {
            return
        }
    }
}

import CLinux
import SystemPackage

/// An open file of the machine.
public final class PosixDiskFile: DiskFile {
    public let descriptor: Int32

    /// Takes over the descriptor and closes it at the end.
    public init(owning descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(Errno) -> Int {
        var done = 0
        while done < buffer.count {
            let count = try systemCall {
                pread(descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done, off_t(offset) + done)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(Errno) {
        var done = 0
        while done < bytes.count {
            done += try systemCall {
                pwrite(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done, off_t(offset) + done)
            }
        }
    }

    public func truncate(to size: Int64) throws(Errno) {
        _ = try systemCall { ftruncate(descriptor, off_t(size)) }
    }

    public func allocate(_ range: Range<Int64>, _ allocation: Allocation) throws(Errno) {
        let flags = (allocation.keepsSize ? sluice_keep_size() : 0) | allocation.flags
        _ = try systemCall { sluice_fallocate(descriptor, flags, range.lowerBound, range.length) }
    }

    /// Moves the descriptor's own position, which nobody uses.
    public func seek(_ goal: SparseSeek, from offset: Int64) throws(Errno) -> Int64 {
        let whence =
            switch goal {
            case .data: sluice_seek_data()
            case .hole: sluice_seek_hole()
            }
        return Int64(try systemCall { lseek(descriptor, off_t(offset), whence) })
    }

    public func writeBack(_ range: Range<Int64>) throws(Errno) {
        _ = try systemCall { sluice_write_back(descriptor, range.lowerBound, range.length) }
    }

    public func synchronize() throws(Errno) {
        try synchronizeData(of: descriptor)
    }

    public func status() throws(Errno) -> DiskFileStatus {
        var status = stat()
        _ = try systemCall { fstat(descriptor, &status) }
        return DiskFileStatus(status)
    }

    public func setModified(_ time: Timestamp) throws(Errno) {
        _ = try systemCall { sluice_set_modified(descriptor, time.seconds, time.subsecondNanoseconds) }
    }

    public func isOpenElsewhere() throws(Errno) -> Bool {
        try systemCall { sluice_is_open_elsewhere(descriptor) } != 0
    }
}

extension DiskFileStatus {
    init(_ status: stat) {
        self.init(
            size: Int64(status.st_size), allocated: Int64(status.st_blocks) * 512,
            modified: Timestamp(
                seconds: Int64(status.st_mtim.tv_sec), nanoseconds: Int64(status.st_mtim.tv_nsec)))
    }
}

extension Allocation {
    /// FALLOC_FL_… bits but for that of the size.
    fileprivate var flags: Int32 {
        switch self {
        case .reserve: 0
        case .zero: sluice_zero_range()
        case .punchHole: sluice_punch_hole()
        }
    }
}

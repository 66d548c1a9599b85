import CFuse
import Cache
import FileSystem
import Platform

// The file system's values as the kernel's structures, and back.

extension Timestamp {
    var kernelTime: timespec { timespec(tv_sec: Int(seconds), tv_nsec: Int(subsecondNanoseconds)) }

    init(_ time: timespec) {
        self.init(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }
}

extension Duration {
    var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }
}

extension stat {
    init(_ attributes: FileAttributes) {
        self.init()
        st_ino = UInt(attributes.inode.rawValue)
        st_mode = attributes.kind.modeBits | mode_t(attributes.permissions & 0o7777)
        st_nlink = .init(attributes.linkCount)
        st_rdev = UInt(attributes.device)
        st_uid = attributes.userID
        st_gid = attributes.groupID
        st_size = Int(attributes.size)
        st_blocks = Int(attributes.blocks)
        st_blksize = .init(MountOptions.maximumTransfer)
        st_atim = attributes.accessed.kernelTime
        st_mtim = attributes.modified.kernelTime
        st_ctim = attributes.changed.kernelTime
    }
}

extension fuse_entry_param {
    init(_ entry: Entry) {
        self.init()
        ino = entry.attributes.inode.rawValue
        attr = stat(entry.attributes)
        attr_timeout = entry.timeToLive.inSeconds
        entry_timeout = entry.timeToLive.inSeconds
    }
}

extension statvfs {
    init(_ statistics: FileSystemStatistics) {
        self.init()
        f_bsize = UInt(statistics.blockSize)
        f_frsize = UInt(statistics.blockSize)
        f_blocks = UInt(statistics.blocks)
        f_bfree = UInt(statistics.freeBlocks)
        f_bavail = UInt(statistics.availableBlocks)
        f_files = UInt(statistics.files)
        f_ffree = UInt(statistics.freeFiles)
        f_favail = UInt(statistics.freeFiles)
        f_namemax = UInt(statistics.maximumNameLength)
    }
}

extension OpenMode {
    /// From the flags of open(2) as the kernel passes them on.
    init(flags: Int32) {
        self = []
        switch flags & O_ACCMODE {
        case O_RDONLY: insert(.read)
        case O_WRONLY: insert(.write)
        default: formUnion([.read, .write])
        }
        if flags & O_TRUNC != 0 { insert(.truncate) }
        if flags & O_EXCL != 0 { insert(.exclusive) }
        if flags & O_APPEND != 0 { insert(.append) }
        if flags & O_DSYNC != 0 { insert(.synchronous) }
        if flags & sluice_o_direct() != 0 { insert(.direct) }
    }
}

extension AttributeChange {
    /// `valid` are FUSE_SET_ATTR_… bits that say which fields of `status` count.
    init(_ status: stat, valid: Int32) {
        self.init()
        if valid & FUSE_SET_ATTR_MODE != 0 { permissions = UInt16(status.st_mode & 0o7777) }
        if valid & FUSE_SET_ATTR_UID != 0 { userID = status.st_uid }
        if valid & FUSE_SET_ATTR_GID != 0 { groupID = status.st_gid }
        if valid & FUSE_SET_ATTR_SIZE != 0 { size = Int64(status.st_size) }
        if valid & FUSE_SET_ATTR_ATIME != 0 { accessed = .at(Timestamp(status.st_atim)) }
        if valid & FUSE_SET_ATTR_MTIME != 0 { modified = .at(Timestamp(status.st_mtim)) }
        if valid & FUSE_SET_ATTR_ATIME_NOW != 0 { accessed = .now }
        if valid & FUSE_SET_ATTR_MTIME_NOW != 0 { modified = .now }
    }
}

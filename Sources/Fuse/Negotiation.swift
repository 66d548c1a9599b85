import CFuse

/// What is agreed with the kernel when the connection starts.
enum Negotiation {
    /// Taken where the kernel offers them.
    private static let wanted: [UInt32] = [
        // Several reads of one file at once; several direct requests for one large read or write.
        UInt32(FUSE_CAP_ASYNC_READ), UInt32(FUSE_CAP_ASYNC_DIO),
        // O_TRUNC arrives with open, so that nothing is fetched of what goes.
        UInt32(FUSE_CAP_ATOMIC_O_TRUNC),
        // Listing with attributes, where the kernel sees that they are asked for.
        UInt32(FUSE_CAP_READDIRPLUS), UInt32(FUSE_CAP_READDIRPLUS_AUTO), UInt32(FUSE_CAP_PARALLEL_DIROPS),
        // Symbolic links do not change, and pages only when the file system says so.
        UInt32(FUSE_CAP_CACHE_SYMLINKS), UInt32(FUSE_CAP_EXPLICIT_INVAL_DATA),
    ]

    /// Never taken, also where libfuse would by default.
    private static let unwanted: [UInt32] = [
        // Its acknowledged bytes die with the daemon, and it breaks O_APPEND.
        UInt32(FUSE_CAP_WRITEBACK_CACHE),
        // Drops the pages whenever mtime moves, also by a write through this very mount.
        UInt32(FUSE_CAP_AUTO_INVAL_DATA),
        // Locks are kept by the kernel: one mount has one machine's processes.
        UInt32(FUSE_CAP_POSIX_LOCKS), UInt32(FUSE_CAP_FLOCK_LOCKS),
        UInt32(FUSE_CAP_EXPORT_SUPPORT), UInt32(FUSE_CAP_DONT_MASK), UInt32(FUSE_CAP_POSIX_ACL),
        UInt32(FUSE_CAP_NO_OPEN_SUPPORT), UInt32(FUSE_CAP_NO_OPENDIR_SUPPORT), UInt32(FUSE_CAP_IOCTL_DIR),
    ]

    /// Requests of the kernel's own (read-ahead, asynchronous direct I/O) under way at once. libfuse's 12 would
    /// leave a long line idle at 1 MiB each.
    private static let maximumBackground: UInt32 = 64

    static func negotiate(_ connection: inout fuse_conn_info) {
        for flag in unwanted { connection.want &= ~flag }
        for flag in wanted { connection.want |= flag & connection.capable }
        connection.max_write = min(connection.max_write, UInt32(MountOptions.maximumTransfer))
        connection.max_read = UInt32(MountOptions.maximumTransfer)
        connection.max_background = maximumBackground
        connection.congestion_threshold = maximumBackground * 3 / 4
        connection.time_gran = 1
    }
}

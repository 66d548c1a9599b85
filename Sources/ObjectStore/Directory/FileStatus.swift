import CLinux

/// What the directory store needs of a file's stat(2).
struct FileStatus: Equatable {
    var inode: UInt64
    var size: Int64
    /// Nanoseconds since 1970.
    var modified: Int64
    /// Nanoseconds since 1970; set by the kernel at every change of content or attributes.
    var changed: Int64
    var isFile: Bool
    var isDirectory: Bool

    init(_ status: stat) {
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        modified = Self.nanoseconds(status.st_mtim)
        changed = Self.nanoseconds(status.st_ctim)
        let kind = mode_t(S_IFMT)
        isFile = status.st_mode & kind == mode_t(S_IFREG)
        isDirectory = status.st_mode & kind == mode_t(S_IFDIR)
    }

    /// Whether the content is the same as at another look, as far as the file system tells.
    func hasContent(of other: FileStatus) -> Bool {
        inode == other.inode && size == other.size && modified == other.modified
    }

    private static func nanoseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

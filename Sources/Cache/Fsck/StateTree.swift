import CLinux
import Platform
import SystemPackage

/// A state directory that is looked at and not used: nothing in it is changed, and no link is followed.
///
/// As long as it lives, no daemon uses the directory.
final class StateTree {
    struct Entry {
        enum Kind: Equatable {
            case file
            case directory
            case socket
            /// For people.
            case other(String)
        }

        var kind: Kind
        /// Bytes.
        var size: Int64
        var owner: UInt32
        var links: UInt64
        /// The low nine bits: what others may do counts.
        var permissions: UInt32
    }

    let path: String
    private let root: Int32
    private let directories: HeldDirectories
    /// Locked, if there is a lock to hold.
    private let lock: PosixDiskFile?

    /// Throws ``CacheError/unusable(_:)`` if there is no such directory, or a daemon uses it.
    init(path: String) throws(CacheError) {
        self.path = path
        do {
            root = try systemCall { sluice_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0) }
        } catch {
            throw .unusable("cannot read the state directory \(path): \(error)")
        }
        directories = HeldDirectories(root: root)
        lock = try? Self.open("lock", root)
        for descriptor in [root, lock?.descriptor].compactMap({ $0 }) where flock(descriptor, LOCK_SH | LOCK_NB) != 0 {
            if sluice_errno() == EWOULDBLOCK {
                close(root)
                throw .unusable("the state directory \(path) is in use by a mount: unmount that first")
            }
        }
    }

    deinit { close(root) }

    /// Nil if there is nothing of the name.
    func entry(_ name: String) throws(Errno) -> Entry? {
        var status = stat()
        do {
            let place = name.isEmpty ? (root, ".") : try directories.place(of: name)
            _ = try systemCall { fstatat(place.0, place.1, &status, AT_SYMLINK_NOFOLLOW) }
        } catch .noSuchFileOrDirectory {
            return nil
        }
        return Entry(
            kind: Self.kind(mode_t(status.st_mode)), size: Int64(status.st_size), owner: status.st_uid,
            links: UInt64(status.st_nlink), permissions: UInt32(status.st_mode) & 0o777)
    }

    /// Reads a regular file.
    func open(_ name: String) throws(Errno) -> PosixDiskFile {
        let place = try directories.place(of: name)
        return try Self.open(place.name, place.directory)
    }

    private static func open(_ name: String, _ directory: Int32) throws(Errno) -> PosixDiskFile {
        let descriptor = try systemCall { sluice_openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0) }
        let file = PosixDiskFile(owning: descriptor)
        var status = stat()
        _ = try systemCall { fstat(descriptor, &status) }
        guard kind(mode_t(status.st_mode)) == .file else { throw .structureNeedsCleaning }
        return file
    }

    /// Sorted.
    func names(in directory: String) throws(Errno) -> [String] {
        let place = directory.isEmpty ? (root, ".") : try directories.place(of: directory)
        return try PosixDisk.names(in: place.0, place.1).sorted()
    }

    private static func kind(_ mode: mode_t) -> Entry.Kind {
        switch mode & mode_t(S_IFMT) {
        case mode_t(S_IFREG): .file
        case mode_t(S_IFDIR): .directory
        case mode_t(S_IFSOCK): .socket
        case mode_t(S_IFLNK): .other("a symbolic link")
        case mode_t(S_IFIFO): .other("a pipe")
        default: .other("a device")
        }
    }
}

extension StateTree.Entry.Kind {
    var text: String {
        switch self {
        case .file: "a regular file"
        case .directory: "a directory"
        case .socket: "a socket"
        case .other(let text): text
        }
    }
}

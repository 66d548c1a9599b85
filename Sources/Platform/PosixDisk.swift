import CLinux
import SystemPackage

/// The tree below one directory of the machine. Never follows a symbolic link, and takes no file for its own that is
/// not: what it opens is a regular file of this user with a single name.
public final class PosixDisk: Disk {
    private let root: Int32
    private let directories: HeldDirectories

    /// Opens the directory at `path`.
    public init(path: String) throws(Errno) {
        root = try systemCall { sluice_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0) }
        directories = HeldDirectories(root: root)
    }

    deinit { close(root) }

    public func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile {
        // Emptied only after it was looked at.
        let flags: Int32 =
            switch mode {
            case .existing: 0
            case .createIfAbsent, .truncated: O_CREAT
            }
        let place = try directories.place(of: name)
        let file: PosixDiskFile
        do {
            file = PosixDiskFile(
                owning: try systemCall {
                    sluice_openat(place.directory, place.name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | flags, 0o600)
                })
        } catch .tooManySymbolicLinkLevels, .isDirectory, .noSuchAddressOrDevice {
            throw .structureNeedsCleaning
        }
        var status = stat()
        _ = try systemCall { fstat(file.descriptor, &status) }
        try Self.check(status)
        if mode == .truncated && status.st_size > 0 { try file.truncate(to: 0) }
        return file
    }

    private static func check(_ status: stat) throws(Errno) {
        guard isRegularFile(status), status.st_uid == geteuid(), status.st_nlink == 1 else {
            throw .structureNeedsCleaning
        }
    }

    public func status(of name: String) throws(Errno) -> DiskFileStatus {
        let place = try directories.place(of: name)
        var status = stat()
        _ = try systemCall { fstatat(place.directory, place.name, &status, AT_SYMLINK_NOFOLLOW) }
        try Self.check(status)
        return DiskFileStatus(status)
    }

    public func remove(_ name: String) throws(Errno) {
        do {
            let place = try directories.place(of: name)
            _ = try systemCall { unlinkat(place.directory, place.name, 0) }
        } catch .noSuchFileOrDirectory {
            return
        }
    }

    public func rename(_ name: String, to newName: String) throws(Errno) {
        let (from, to) = (try directories.place(of: name), try directories.place(of: newName))
        _ = try systemCall { renameat(from.directory, from.name, to.directory, to.name) }
        directories.forget(name)
    }

    public func makeDirectory(_ name: String) throws(Errno) {
        let place = try directories.place(of: name)
        do {
            _ = try systemCall { mkdirat(place.directory, place.name, 0o700) }
        } catch .fileExists {
            return
        }
    }

    public func names(in directory: String) throws(Errno) -> [String] {
        let place = try directories.place(of: directory)
        return try Self.names(in: place.directory, place.name)
    }

    /// The names in the directory `name` of an open directory.
    public static func names(in parent: Int32, _ name: String) throws(Errno) -> [String] {
        let descriptor = try openDirectory(parent, name)
        guard let stream = fdopendir(descriptor) else {
            let errno = Errno(rawValue: sluice_errno())
            close(descriptor)
            throw errno
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    public func synchronizeDirectory(_ name: String) throws(Errno) {
        let place = try directories.place(of: name)
        let descriptor = try Self.openDirectory(place.directory, place.name)
        defer { close(descriptor) }
        _ = try systemCall { fsync(descriptor) }
    }

    public func synchronizeAll() throws(Errno) {
        _ = try systemCall { sluice_syncfs(root) }
    }

    public func space() throws(Errno) -> DiskSpace {
        var status = statvfs()
        _ = try systemCall { fstatvfs(root, &status) }
        let unit = Int64(status.f_frsize)
        return DiskSpace(
            total: Int64(status.f_blocks) * unit, free: Int64(status.f_bfree) * unit,
            available: Int64(status.f_bavail) * unit)
    }

    private static func openDirectory(_ parent: Int32, _ name: String) throws(Errno) -> Int32 {
        try systemCall { sluice_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0) }
    }
}

import CLinux
import SystemPackage

/// The tree below one directory of the machine. Never follows a symbolic link at the end of a name.
public final class PosixDisk: Disk {
    private let root: Int32

    /// Opens the directory at `path`.
    public init(path: String) throws(Errno) {
        root = try systemCall { sluice_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0) }
    }

    deinit { close(root) }

    public func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile {
        let flags: Int32 =
            switch mode {
            case .existing: 0
            case .createIfAbsent: O_CREAT
            case .truncated: O_CREAT | O_TRUNC
            }
        let descriptor = try systemCall {
            sluice_openat(root, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | flags, 0o600)
        }
        return PosixDiskFile(owning: descriptor)
    }

    public func remove(_ name: String) throws(Errno) {
        do {
            _ = try systemCall { unlinkat(root, name, 0) }
        } catch .noSuchFileOrDirectory {
            return
        }
    }

    public func rename(_ name: String, to newName: String) throws(Errno) {
        _ = try systemCall { renameat(root, name, root, newName) }
    }

    public func makeDirectory(_ name: String) throws(Errno) {
        do {
            _ = try systemCall { mkdirat(root, name, 0o700) }
        } catch .fileExists {
            return
        }
    }

    public func names(in directory: String) throws(Errno) -> [String] {
        let descriptor = try openDirectory(directory)
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
        let descriptor = try openDirectory(name)
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

    private func openDirectory(_ name: String) throws(Errno) -> Int32 {
        try systemCall { sluice_openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0) }
    }
}

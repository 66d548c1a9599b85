import CLinux
import Platform
import Synchronization
import SystemPackage

/// A disk whose files have names in memory alone, for tests that make thousands: real files with real descriptors,
/// without the system calls for directories. Outlives whoever uses it, as a disk does.
public final class UnnamedDisk: Disk {
    private let files = Mutex<[String: any DiskFile]>([:])
    private let place: String

    /// `place`: a directory of a file system that has O_TMPFILE.
    public init(place: String = "/dev/shm") {
        self.place = place
    }

    public func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile {
        if let file = files.withLock({ $0[name] }) {
            if mode == .truncated { try file.truncate(to: 0) }
            return file
        }
        guard mode != .existing else { throw .noSuchFileOrDirectory }
        // O_TMPFILE of open(2).
        let flags = O_RDWR | O_DIRECTORY | 0o20000000
        let file = PosixDiskFile(owning: try systemCall { sluice_openat(AT_FDCWD, place, flags, 0o600) })
        files.withLock { $0[name] = file }
        return file
    }

    /// At once: nothing here waits.
    public func runAside(_ work: @escaping @Sendable () -> Void) { work() }

    public func remove(_ name: String) { files.withLock { $0[name] = nil } }

    public func rename(_ name: String, to newName: String) throws(Errno) {
        let isThere = files.withLock { files in
            guard let file = files.removeValue(forKey: name) else { return false }
            files[newName] = file
            return true
        }
        if !isThere { throw .noSuchFileOrDirectory }
    }

    public func makeDirectory(_ name: String) {}

    public func names(in directory: String) -> [String] {
        let names = files.withLock { $0.keys.filter { $0.hasPrefix(directory + "/") } }
        return Array(Set(names.map { String($0.dropFirst(directory.count + 1).prefix { $0 != "/" }) }))
    }

    public func synchronizeDirectory(_ name: String) {}
    public func synchronizeAll() {}
    public func space() -> DiskSpace { DiskSpace(total: 1 << 40, free: 1 << 40, available: 1 << 40) }
}

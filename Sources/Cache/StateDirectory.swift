import CLinux
import Platform
import SystemPackage

/// The directory that holds what exists nowhere else: opened by one process at a time, private to its user.
public final class StateDirectory: Sendable {
    public let path: String
    public let disk: any Disk
    private let lock: PosixDiskFile

    /// Whether there is a state directory that was used before.
    public static func exists(at path: String) -> Bool {
        access(path + "/" + journalName, F_OK) == 0
    }

    /// Creates the directory (mode 0700, with missing parents) if there is none, and locks it.
    ///
    /// Throws ``CacheError/unusable(_:)`` if another process uses it, if it belongs to another user, or if others may
    /// write in it.
    public init(path: String) throws(CacheError) {
        self.path = path
        do {
            try Self.makeDirectories(path)
            try Self.checkOwnership(path)
            let disk = try PosixDisk(path: path)
            let descriptor = try systemCall {
                sluice_openat(AT_FDCWD, path + "/lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
            }
            lock = PosixDiskFile(owning: descriptor)
            self.disk = disk
        } catch let error as CacheError {
            throw error
        } catch let errno as Errno {
            throw .unusable("cannot use the state directory \(path): \(errno); name another with --state-dir")
        } catch {
            throw .unusable("cannot use the state directory \(path): \(error)")
        }
        guard flock(lock.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw .unusable(
                "the state directory \(path) is in use by another sluice: unmount that first, or name another --state-dir"
            )
        }
    }

    static let journalName = "journal.db"

    public var journalPath: String { path + "/" + Self.journalName }

    private static func makeDirectories(_ path: String) throws(Errno) {
        var end = path.startIndex
        while end != path.endIndex {
            end = path[end...].dropFirst().firstIndex(of: "/") ?? path.endIndex
            let ancestor = String(path[..<end])
            if mkdir(ancestor, end == path.endIndex ? 0o700 : 0o755) == 0 { continue }
            let errno = Errno(rawValue: sluice_errno())
            if errno == .fileExists { continue }
            if access(ancestor, F_OK) != 0 { throw errno }
        }
    }

    private static func checkOwnership(_ path: String) throws {
        var status = stat()
        _ = try systemCall { stat(path, &status) }
        guard mode_t(status.st_mode) & mode_t(S_IFMT) == mode_t(S_IFDIR) else {
            throw CacheError.unusable("the state directory \(path) is not a directory: name another --state-dir")
        }
        guard status.st_uid == geteuid() else {
            throw CacheError.unusable(
                "the state directory \(path) belongs to user \(status.st_uid): name one of your own with --state-dir")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw CacheError.unusable("the state directory \(path) is open to other users: run chmod 700 '\(path)'")
        }
    }
}

import CLinux
import Platform
import SystemPackage

/// The directory that holds what exists nowhere else: opened by one process at a time, private to its user.
public final class StateDirectory: Sendable {
    public let path: String
    public let disk: any Disk
    private let lock: PosixDiskFile
    /// Locked as well: the lock file may be removed or replaced while the directory is in use.
    private let directory: PosixDiskFile

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
            directory = PosixDiskFile(
                owning: try systemCall { sluice_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0) })
            lock = try Self.openLock(disk, path)
            self.disk = disk
        } catch let error as CacheError {
            throw error
        } catch let errno as Errno {
            throw .unusable("cannot use the state directory \(path): \(errno); name another with --state-dir")
        } catch {
            throw .unusable("cannot use the state directory \(path): \(error)")
        }
        for descriptor in [directory.descriptor, lock.descriptor] where flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            throw .unusable(
                "the state directory \(path) is in use by another sluice: unmount that first, or name another --state-dir"
            )
        }
        try putAsideLogWithoutJournal()
    }

    private static func openLock(_ disk: PosixDisk, _ path: String) throws -> PosixDiskFile {
        do {
            guard let file = try disk.open("lock", .createIfAbsent) as? PosixDiskFile else {
                throw Errno.badFileDescriptor
            }
            return file
        } catch Errno.structureNeedsCleaning {
            throw CacheError.unusable(
                "\(path)/lock is not the regular file of this user alone that it should be: remove it")
        }
    }

    /// SQLite deletes the write-ahead log of a database that is gone: it may hold all that is left of the journal.
    private func putAsideLogWithoutJournal() throws(CacheError) {
        let log = Self.journalName + "-wal"
        do {
            if let size = try? disk.status(of: Self.journalName).size, size > 0 { return }
            guard let size = try? disk.status(of: log).size, size > 0 else { return }
            try disk.makeDirectory("quarantine")
            let taken = Set(try disk.names(in: "quarantine"))
            let place = (1...).lazy.map { "\(log)-\($0)" }.first { !taken.contains($0) } ?? log
            try disk.rename(log, to: "quarantine/" + place)
            try disk.synchronizeDirectory("quarantine")
        } catch {
            throw .system(error, during: "putting the log of a lost journal aside")
        }
    }

    public static let journalName = "journal.db"

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

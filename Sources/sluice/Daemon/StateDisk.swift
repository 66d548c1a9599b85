import CLinux
import Foundation

/// The disk that a state directory is on or will be on.
struct StateDisk {
    let path: String
    /// The directory itself, or where it would be made.
    let existing: String
    /// Bytes of the disk.
    let total: Int64
    /// Bytes that this user may still take.
    let available: Int64

    /// Whether not even the journal of a new mount has room.
    var isFull: Bool { available < 1 << 20 }

    init(path: String) throws(CommandFailure) {
        self.path = path
        existing = Self.nearestExisting(path)
        var space = statvfs()
        // Without blocks: /proc and the like.
        guard statvfs(existing, &space) == 0, space.f_blocks > 0 else {
            throw CommandFailure(
                "cannot use the state directory \(path): \(existing) is on no disk; name another with --state-dir")
        }
        total = Int64(space.f_blocks) * Int64(space.f_frsize)
        available = Int64(space.f_bavail) * Int64(space.f_frsize)
    }

    /// Bytes that stay free for others: 2 GiB, on small disks a tenth. Throws for one that would leave nothing.
    func reserve(_ configured: Int64?) throws(CommandFailure) -> Int64 {
        let reserve = configured ?? min(2 << 30, total / 10)
        guard reserve < total else {
            throw .usage(
                "cache_reserve (\(Units.text(bytes: reserve))) is all of the disk of \(path) "
                    + "(\(Units.text(bytes: total))): nothing could be written; give less")
        }
        return reserve
    }

    /// Bytes that the journal holds ahead: enough for the uploads of thousands of files on a disk that others fill, and
    /// little of a small disk.
    var journalReserve: Int64 { max(1 << 20, min(16 << 20, total / 64)) }

    private static func nearestExisting(_ path: String) -> String {
        var path = path
        while access(path, F_OK) != 0, path != "/" {
            path = URL(fileURLWithPath: path).deletingLastPathComponent().path
        }
        return path
    }
}

import CLinux
import GRDB
import GRDBSQLite
import Platform
import Synchronization
import SystemPackage

/// Space that the journal holds ahead of its needs, so that a disk that other programs fill to the last byte keeps nobody
/// from recording what became of an upload, which is what frees space in the end.
///
/// Two parts: blocks of the write-ahead log beyond its end, and free pages in the database, which a checkpoint has written
/// already. Neither helps on a disk that copies on write.
///
/// Used by the journal's connection, but for ``isTight``.
final class JournalSpace: Sendable {
    /// Bytes of the write-ahead log; 0: nothing is held.
    let size: Int64
    private let walPath: String
    /// Pages in the write-ahead log.
    private let pages = Atomic<Int64>(0)
    private let isShort = Atomic(false)

    /// A page and its header in the log.
    private static let frameSize: Int64 = 4096 + 24

    init(size: Int64, walPath: String) {
        self.size = size
        self.walPath = walPath
    }

    /// Whether so little is left that it has to do for uploads: nothing new is to be recorded.
    var isTight: Bool { isShort.load(ordering: .relaxed) }

    /// Bytes in the write-ahead log as of the last commit.
    var logged: Int64 { pages.load(ordering: .relaxed) * Self.frameSize }

    /// Counts what is in the log. The connection must be closed before this goes.
    func watch(_ database: Database) {
        // Takes the place of SQLite's own hook for automatic checkpoints, of which the journal has none.
        sqlite3_wal_hook(
            database.sqliteConnection,
            { context, _, _, pages in
                guard let context else { return SQLITE_OK }
                let space = Unmanaged<JournalSpace>.fromOpaque(context).takeUnretainedValue()
                space.pages.store(Int64(pages), ordering: .relaxed)
                return SQLITE_OK
            }, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Takes what is lacking. Throws ENOSPC if it is not there, as SQLite's error or as an errno.
    func replenish(_ database: Database) throws {
        guard size > 0 else { return }
        try? holdLog()
        do {
            try holdPages(database)
            try holdLog()
            isShort.store(false, ordering: .relaxed)
        } catch {
            isShort.store(try Self.freePages(database) < wantedPages / 4, ordering: .relaxed)
            throw error
        }
    }

    /// Moves the log into the database and takes its blocks again, which SQLite gave back. An old log with bytes that
    /// count no more must not stay: with a flipped bit it would hide a part of the database.
    func checkpoint(_ database: Database) throws {
        defer { try? holdLog() }
        try database.checkpoint(.truncate)
        pages.store(0, ordering: .relaxed)
    }

    /// Takes blocks of the log; also of one that is not there, for whoever opens the journal on a full disk.
    func holdLog() throws {
        guard size > 0 else { return }
        let descriptor = try FileDescriptor.open(
            FilePath(walPath), .readWrite, options: [.create, .noFollow, .closeOnExec], permissions: [.ownerReadWrite])
        try descriptor.closeAfter {
            let result = sluice_fallocate(descriptor.rawValue, sluice_keep_size(), 0, size)
            let errno = Errno(rawValue: sluice_errno())
            if result != 0 && errno != .notSupported { throw errno }
        }
    }

    private var wantedPages: Int64 { size / 4 / 4096 }

    private static func freePages(_ database: Database) throws -> Int64 {
        try Int64.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
    }

    /// Pages become free by deleting what was in them; the checkpoint in between gives them blocks on the disk.
    private func holdPages(_ database: Database) throws {
        let free = try Self.freePages(database)
        guard free < wantedPages / 2 else { return }
        let name = "space held ahead"
        try database.execute(
            sql: "INSERT OR REPLACE INTO property (name, value) VALUES (?, zeroblob(?))",
            arguments: [name, (wantedPages - free) * 4096])
        defer { try? database.execute(sql: "DELETE FROM property WHERE name = ?", arguments: [name]) }
        try checkpoint(database)
    }
}

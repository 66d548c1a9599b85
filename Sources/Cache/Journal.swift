import CLinux
import GRDB
import Platform
import Synchronization
import SystemPackage

/// The durable record of everything but the bytes: inodes, names, what is not yet in the bucket, what of the bucket
/// is known. One SQLite database in WAL mode, written by one connection.
///
/// A committed transaction survives the death of the process at once, and a power cut after ``synchronize()``:
/// commits do not sync by themselves (SQLite, "PRAGMA synchronous": NORMAL in WAL mode keeps order and consistency).
///
/// Thread rule: any thread; transactions run one at a time and must not be nested. Innermost of all locks.
public final class Journal: Sendable {
    private let queue: DatabaseQueue
    private let walPath: String
    private let sequence: Atomic<Int64>
    private let hasUnsynced = Atomic(true)
    let departed = DepartedKeys()
    let inodeRows = InodeRows()
    let damagedRows = DamagedRows()

    /// Opens or creates the journal at `path`. Throws ``CacheError/unusable(_:)`` for a journal of a newer version, and
    /// for a file that is no journal.
    public init(path: String) throws {
        walPath = path + "-wal"
        for file in [path, walPath] { try Self.checkKind(file) }
        do {
            queue = try Self.open(path)
            sequence = Atomic(try queue.inDatabase(Self.lastSequence))
            queue.inDatabase { inodeRows.watch($0) }
        } catch let error as DatabaseError {
            throw CacheError.unusable(
                "the journal \(path) cannot be opened (\(error.message ?? "\(error.resultCode)")): keep that state "
                    + "directory, it may hold the only copy of files (sluice fsck --salvage saves them), and name "
                    + "another --state-dir")
        }
    }

    /// SQLite would follow a link.
    private static func checkKind(_ path: String) throws(CacheError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard isRegularFile(status), status.st_uid == geteuid(), status.st_nlink == 1 else {
            throw .unusable(
                "\(path) is not the regular file of this user alone that it should be: bring back what was there "
                    + "before; sluice fsck --salvage saves what is not in the bucket")
        }
    }

    private static func open(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.label = "journal"
        configuration.prepareDatabase { database in
            // The state directory's lock keeps others out: no lock calls and no shared memory for each transaction.
            try database.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            try database.execute(sql: "PRAGMA synchronous = NORMAL")
            // Checkpoints sync: they run from `checkpoint()`, never inside somebody's rename.
            try database.execute(sql: "PRAGMA wal_autocheckpoint = 0")
        }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try JournalSchema.migrate(queue)
        return queue
    }

    /// Damaged rows do not count.
    private static func lastSequence(_ database: Database) throws -> Int64 {
        let sql = "SELECT MAX(remote_seq) FROM inode WHERE typeof(remote_seq) = 'integer' AND remote_seq < 1 << 62"
        return try JournalStatement(sql, in: database).first([]) { $0[0] } ?? 0
    }

    /// A number that grows with each call, over restarts as well.
    public func nextSequence() -> Int64 {
        sequence.wrappingAdd(1, ordering: .relaxed).newValue
    }

    public func read<Value>(_ body: (JournalTransaction) throws -> Value) throws -> Value {
        try queue.inDatabase { try body(JournalTransaction(database: $0, journal: self)) }
    }

    /// The row of an inode as it is now, from memory if it was read or written lately.
    public func inode(_ number: InodeNumber) throws -> Inode? {
        try inodeRows.committed(number) ?? read { try $0.inode(number) }
    }

    /// All that `body` writes is committed together, or nothing of it if it throws.
    public func write<Value>(_ body: (JournalTransaction) throws -> Value) throws -> Value {
        defer { hasUnsynced.store(true, ordering: .relaxed) }
        return try queue.writeWithoutTransaction { database in
            let transaction = JournalTransaction(database: database, journal: self)
            try transaction.execute("BEGIN IMMEDIATE")
            do {
                let value = try body(transaction)
                try transaction.execute("COMMIT")
                inodeRows.commit()
                return value
            } catch {
                rollBack(transaction)
                inodeRows.rollBack()
                throw error
            }
        }
    }

    /// Some errors make SQLite roll back by itself; another failure of it would hide what went wrong first.
    private func rollBack(_ transaction: JournalTransaction) {
        guard transaction.database.isInsideTransaction else { return }
        try? transaction.execute("ROLLBACK")
    }

    /// Makes every committed transaction survive a power cut. Throws ``CacheError/system(_:during:)``.
    public func synchronize() throws {
        do {
            let descriptor = try FileDescriptor.open(FilePath(walPath), .readOnly)
            try descriptor.closeAfter { try synchronizeData(of: descriptor.rawValue) }
        } catch let errno as Errno {
            throw CacheError.system(errno, during: "syncing the journal")
        }
    }

    /// ``synchronize()`` unless nothing was written since the last one of these.
    func synchronizeIfNeeded() throws {
        guard hasUnsynced.exchange(false, ordering: .relaxed) else { return }
        do {
            try synchronize()
        } catch {
            hasUnsynced.store(true, ordering: .relaxed)
            throw error
        }
    }

    /// Moves the write-ahead log into the database once it has grown past `threshold` bytes.
    public func checkpoint(over threshold: Int64 = 8 << 20) throws {
        guard try size(of: walPath) > threshold else { return }
        try queue.inDatabase { _ = try $0.checkpoint(.truncate) }
    }

    public func close() throws {
        try queue.close()
    }
}

import CLinux
import GRDB
import Platform
import Synchronization
import SystemPackage

/// The durable record of everything but the bytes: inodes, names, what is not yet in the bucket, what of the bucket
/// is known. One SQLite database in WAL mode, written by one connection.
///
/// A committed transaction survives the death of the process at once, and a power cut after ``synchronize()``:
/// commits do not sync by themselves. SQLite's `synchronous = NORMAL` in WAL mode keeps their order and the database whole;
/// FULL would sync inside of each transaction, while others wait for it, also where nothing was promised. So whoever
/// promises something, or sends a request that relies on the journal, asks for ``synchronize()``; those who ask at once
/// share one sync.
///
/// Thread rule: any thread; transactions run one at a time and must not be nested. Innermost of all locks.
public final class Journal: Sendable {
    private struct Syncs {
        /// The write-ahead log, open since the first sync so that no error of the disk is missed.
        var wal: (any DiskFile)?
        /// Of ``Journal/commits``: so many survive a power cut.
        var commits: UInt64 = 0
        /// A sync failed: the kernel may have dropped what it did not write, so that a later success proves nothing.
        var failure: CacheError?
    }

    private let queue: DatabaseQueue
    let disk: any Disk
    /// Of the write-ahead log, on the disk.
    private let walName: String
    private let walLimit: Int64
    private let sequence: Atomic<Int64>
    /// Committed transactions; what a former process left counts as one.
    private let commits = Atomic<UInt64>(1)
    /// Of these, the last one that a program was told of.
    private let acknowledged = Atomic<UInt64>(1)
    private let syncs = Mutex(Syncs())
    let sharedSync = SharedSync()
    let departed = DepartedKeys()
    let inodeRows = InodeRows()
    let damagedRows = DamagedRows()
    private let space: JournalSpace

    /// Opens or creates the journal at `path`. Throws ``CacheError/unusable(_:)`` for a journal of a newer version, and
    /// for a file that is no journal.
    public convenience init(path: String, reserve: Int64 = 0) throws {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        try self.init(
            path: path, name: name, on: PosixDisk(path: String(path.dropLast(name.count)) + "."), reserve: reserve)
    }

    /// - Parameters:
    ///   - path: where SQLite finds it; a path or a URI.
    ///   - name: the same file on `disk`, which syncs it.
    ///   - walLimit: a write-ahead log longer than this is moved into the database by ``checkpoint()``, bytes.
    ///   - reserve: bytes of the disk that it holds ahead; then half of them are the limit of the log.
    public init(
        path: String, name: String = StateDirectory.journalName, on disk: any Disk, walLimit: Int64 = 8 << 20,
        reserve: Int64 = 0
    ) throws {
        for file in [path, path + "-wal"] { try Self.checkKind(file) }
        self.disk = disk
        self.walLimit = reserve > 0 ? reserve / 2 : walLimit
        walName = name + "-wal"
        space = JournalSpace(size: reserve, walPath: path + "-wal")
        do {
            queue = try Self.open(path)
            sequence = Atomic(try queue.inDatabase(Self.lastSequence))
            queue.inDatabase { database in
                inodeRows.watch(database)
                space.watch(database)
            }
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

    /// Grows with each transaction that is committed: as long as it is what it was inside of a transaction, all rows are as
    /// that one found them.
    public var version: UInt64 { commits.load(ordering: .acquiring) }

    public func read<Value>(_ body: (JournalTransaction) throws -> Value) throws -> Value {
        try reportingFullDisk { try queue.inDatabase { try body(JournalTransaction(database: $0, journal: self)) } }
    }

    private func reportingFullDisk<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
            throw CacheError.system(.noSpace, during: "writing the journal")
        }
    }

    /// The row of an inode as it is now, from memory if it was read or written lately.
    public func inode(_ number: InodeNumber) throws -> Inode? {
        try inodeRows.committed(number) ?? read { try $0.inode(number) }
    }

    /// All that `body` writes is committed together, or nothing of it if it throws. `isAcknowledged`: a program is told that
    /// it was done, see ``synchronizeAcknowledged()``.
    public func write<Value>(
        isAcknowledged: Bool = false, _ body: (JournalTransaction) throws -> Value
    ) throws -> Value {
        try reportingFullDisk {
            try queue.writeWithoutTransaction { database in
                let transaction = JournalTransaction(database: database, journal: self)
                try transaction.execute("BEGIN IMMEDIATE")
                do {
                    let value = try body(transaction)
                    try transaction.execute("COMMIT")
                    let count = commits.add(1, ordering: .releasing).newValue
                    if isAcknowledged { acknowledged.store(count, ordering: .releasing) }
                    inodeRows.commit()
                    return value
                } catch {
                    rollBack(transaction)
                    inodeRows.rollBack()
                    throw error
                }
            }
        }
    }

    /// Some errors make SQLite roll back by itself; another failure of it would hide what went wrong first.
    private func rollBack(_ transaction: JournalTransaction) {
        guard transaction.database.isInsideTransaction else { return }
        try? transaction.execute("ROLLBACK")
    }

    /// Makes every committed transaction survive a power cut; nothing to do if none came since the last time. Throws
    /// ``CacheError/system(_:during:)``, from the first failure on for ever.
    public func synchronize() throws(CacheError) {
        try synchronize(commits.load(ordering: .acquiring))
    }

    /// As ``synchronize()``, of what programs were told. What else is committed meanwhile, about uploads and listings, may be
    /// lost as if it had not happened: no program waits for a disk because of it.
    public func synchronizeAcknowledged() throws(CacheError) {
        try synchronize(acknowledged.load(ordering: .acquiring))
    }

    private func synchronize(_ wanted: UInt64) throws(CacheError) {
        try syncs.withLock { state throws(CacheError) in
            if let failure = state.failure { throw failure }
            // One that waited for another's sync is mostly served by it.
            guard state.commits < wanted else { return }
            let covered = commits.load(ordering: .acquiring)
            guard let wal = try openLog(&state) else { return }
            do throws(Errno) {
                try wal.synchronize()
            } catch {
                let failure = CacheError.system(error, during: "syncing the journal")
                state.failure = failure
                throw failure
            }
            state.commits = covered
        }
    }

    /// Nil if nothing was ever written to it.
    private func openLog(_ state: inout Syncs) throws(CacheError) -> (any DiskFile)? {
        if let wal = state.wal { return wal }
        do {
            let wal = try disk.open(walName, .existing)
            // The names of the database and its log.
            try disk.synchronizeDirectory(".")
            state.wal = wal
            return wal
        } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            throw .system(error, during: "opening the journal's log")
        }
    }

    /// Moves the write-ahead log into the database once it has grown past `threshold` bytes, by default its limit.
    public func checkpoint(over threshold: Int64? = nil) throws {
        guard space.logged > threshold ?? walLimit else { return }
        try reportingFullDisk { try queue.inDatabase(space.checkpoint) }
    }

    /// Takes from the disk what the journal is to hold ahead and has used up.
    public func replenish() throws {
        do {
            try reportingFullDisk { try queue.inDatabase { try space.replenish($0) } }
        } catch let errno as Errno {
            throw CacheError.system(errno, during: "holding space for the journal")
        }
    }

    /// Whether what is held ahead has to do for uploads: nothing new is to be recorded until there is space.
    public var isTight: Bool { space.isTight }

    public func close() throws {
        try queue.close()
        // Where there is no room for it now, the next mount tries again.
        try? space.holdLog()
    }
}

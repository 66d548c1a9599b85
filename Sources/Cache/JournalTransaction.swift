import GRDB
import ObjectStore
import Platform

/// The journal's tables as ``Journal/read(_:)`` and ``Journal/write(_:)`` hand them out; used only inside those.
///
/// Holds primitives only: what a rename may do is decided above.
public struct JournalTransaction {
    let database: Database
    let journal: Journal

    func execute(_ sql: String, _ arguments: JournalStatement.Arguments = []) throws {
        try each(sql, arguments) { _ in }
    }

    /// What `body` makes of the first row; nil if there is none.
    func first<Value>(
        _ sql: String, _ arguments: JournalStatement.Arguments, _ body: (JournalRow) throws -> Value
    ) throws -> Value? {
        try statement(sql).first(arguments, body)
    }

    /// `body` must not run the same statement.
    func each(
        _ sql: String, _ arguments: JournalStatement.Arguments, _ body: (JournalRow) throws -> Void
    ) throws {
        try statement(sql).each(arguments, body)
    }

    /// What `body` makes of each row; it must not run the same statement.
    func all<Value>(
        _ sql: String, _ arguments: JournalStatement.Arguments, _ body: (JournalRow) throws -> Value
    ) throws -> [Value] {
        var found: [Value] = []
        try each(sql, arguments) { found.append(try body($0)) }
        return found
    }

    func number(_ sql: String, _ arguments: JournalStatement.Arguments = []) throws -> Int64? {
        try first(sql, arguments) { $0[0] as Int64? } ?? nil
    }

    private func statement(_ sql: String) throws -> JournalStatement {
        try JournalStatement(sql, in: database)
    }
}

// MARK: Properties

extension JournalTransaction {
    public func property(_ name: String) throws -> String? {
        try first("SELECT value FROM property WHERE name = ?", [name]) { $0[0] }
    }

    public func setProperty(_ name: String, _ value: String) throws {
        try execute("INSERT OR REPLACE INTO property (name, value) VALUES (?, ?)", [name, value])
    }
}

// MARK: Inodes

extension JournalTransaction {
    private static let inodeColumns = Inode.columns.joined(separator: ", ")
    private static let selectInode = "SELECT \(inodeColumns) FROM inode "
    private static let selectInodeByNumber = selectInode + "WHERE ino = ?"
    private static let updateInode =
        "UPDATE inode SET " + Inode.columns.dropFirst().map { "\($0) = ?" }.joined(separator: ", ") + " WHERE ino = ?"
    private static let insertInode =
        "INSERT INTO inode (\(inodeColumns)) VALUES (" + Inode.columns.map { _ in "?" }.joined(separator: ", ") + ")"

    public func inode(_ number: InodeNumber) throws -> Inode? {
        if let inode = journal.inodeRows.current(number) { return inode }
        let inode = try first(Self.selectInodeByNumber, [number.sql]) { row in
            do { return try Inode(row: row) } catch {
                journal.damagedRows.note(number, "\(error)")
                throw error
            }
        }
        if let inode { journal.inodeRows.wasRead(inode) }
        return inode
    }

    /// Inserts a new inode under a number that was never used; `build` makes it from the number.
    public func insertInode(_ build: (InodeNumber) -> Inode) throws -> Inode {
        let last = try lastNumber()
        guard last.sql < Int64.max else { throw CacheError.corrupt("no inode number is left") }
        let inode = build(InodeNumber(sql: last.sql + 1))
        try execute(Self.insertInode, inode.values)
        journal.inodeRows.wasWritten(inode)
        return inode
    }

    /// The number of the newest inode: those that come later have higher ones.
    public func lastNumber() throws -> InodeNumber {
        let last = try number("SELECT seq FROM sqlite_sequence WHERE name = 'inode'") ?? 0
        guard last >= 0 else { throw CacheError.corrupt("the last inode number is negative") }
        return InodeNumber(sql: last)
    }

    public func update(_ inode: Inode) throws {
        try execute(Self.updateInode, inode.values.dropFirst() + [inode.number.sql])
        if database.changesCount > 0 { journal.inodeRows.wasWritten(inode) }
    }

    /// Writes what changes often, in one pass over the row: none of the table's indexes has it.
    public func updateSizeAndTimes(of inode: Inode) throws {
        try execute(
            "UPDATE inode SET size = ?, local_bytes = ?, modified_ns = ?, changed_ns = ? WHERE ino = ?",
            [inode.size, inode.localBytes, inode.modified.nanoseconds, inode.changed.nanoseconds, inode.number.sql])
        if database.changesCount > 0 { journal.inodeRows.wasWritten(inode) }
    }

    /// Removes the row and all that hangs on it but a multipart upload, which the store holds as well: see
    /// ``abandonedMultiparts()``. The data file is to be removed by whoever owns it.
    public func deleteInode(_ number: InodeNumber) throws {
        for table in ["inode", "xattr", "listing", "part"] {
            try execute("DELETE FROM \(table) WHERE ino = ?", [number.sql])
        }
    }

    /// Records that the bytes of a file are about to differ from the object's.
    public func markContentPending(_ number: InodeNumber) throws {
        try execute(
            "UPDATE inode SET pending = pending | ? WHERE ino = ?", [PendingChange.content.rawValue, number.sql])
        try markAliasesPending(of: number)
    }

    /// Of inodes that a name leads to.
    public func pendingInodes() throws -> [Inode] {
        try inodes("WHERE pending <> 0 AND links > 0", [])
    }

    /// Files whose bytes, local and not yet in the bucket, are to be found.
    func unsentFiles() throws -> [Inode] {
        try inodes(
            "WHERE pending <> 0 AND pending & 1 <> 0 AND links > 0 AND kind = ? AND alias_of IS NULL",
            [InodeKind.file.rawValue])
    }

    /// Inodes that have data files, whether their rows can be read or not.
    func inodesWithData() throws -> Set<InodeNumber> {
        Set(try all("SELECT ino FROM inode WHERE local <> 0", []) { InodeNumber(sql: $0[0]) })
    }

    /// Inodes whose object is, as far as is known, at `key`.
    public func inodes(withRemoteKey key: ObjectKey) throws -> [Inode] {
        try inodes("WHERE remote_key = ?", [key.string])
    }

    /// Inodes without a name, left by a process that died while they were open.
    public func orphans() throws -> [Inode] {
        try inodes("WHERE links = 0", [])
    }

    /// Clean inodes with local data, least recently used first.
    public func evictable(limit: Int) throws -> [Inode] {
        try inodes("WHERE local <> 0 AND pending = 0 ORDER BY last_used LIMIT ?", [limit])
    }

    public func setLastUsed(_ time: Timestamp, of number: InodeNumber) throws {
        try execute("UPDATE inode SET last_used = ? WHERE ino = ?", [time.nanoseconds, number.sql])
    }

    /// Whether a data file belongs to a known inode.
    public func hasLocalData(_ number: InodeNumber) throws -> Bool {
        try self.number("SELECT 1 FROM inode WHERE ino = ? AND local <> 0", [number.sql]) != nil
    }

    /// Bytes that all data files took when they were last closed.
    public func localBytes() throws -> Int64 {
        try number("SELECT SUM(\(Self.soundLocalBytes)) FROM inode WHERE local <> 0") ?? 0
    }

    /// Of these, the bytes of files with content that is not in the bucket.
    public func dirtyBytes() throws -> Int64 {
        try number(
            "SELECT SUM(\(Self.soundLocalBytes)) FROM inode WHERE pending <> 0 AND pending & 1 <> 0 AND links > 0") ?? 0
    }

    /// Of rows that cannot be read, nothing absurd.
    private static let soundLocalBytes = "MAX(0, MIN(CAST(local_bytes AS INTEGER), 1 << 48))"

    /// Rows that cannot be read are passed over: see ``Journal/damagedRows``.
    func inodes(_ condition: String, _ arguments: JournalStatement.Arguments) throws -> [Inode] {
        try all(Self.selectInode + condition, arguments, inodeIfSound(row:)).compactMap { $0 }
    }

    /// Nil for a row that cannot be read, which is noted.
    func inodeIfSound(row: JournalRow) throws -> Inode? {
        do {
            return try Inode(row: row)
        } catch CacheError.corrupt(let damage) {
            journal.damagedRows.note(InodeNumber(sql: row[0]), damage)
            return nil
        }
    }
}

// MARK: Data files to remove

extension JournalTransaction {
    /// Records that a data file is garbage before it is removed, so that recovery knows it from unexplained data.
    public func discardData(of number: InodeNumber) throws {
        try execute("INSERT OR IGNORE INTO discard (ino) VALUES (?)", [number.sql])
    }

    public func dataDiscarded(of number: InodeNumber) throws {
        try execute("DELETE FROM discard WHERE ino = ?", [number.sql])
    }

    public func discardedData() throws -> [InodeNumber] {
        let sql = "SELECT ino FROM discard WHERE NOT EXISTS (SELECT 1 FROM inode WHERE inode.ino = discard.ino)"
        return try all(sql, []) { InodeNumber(sql: $0[0]) }
    }
}

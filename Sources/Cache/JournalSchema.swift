import GRDB

/// The tables of the journal and how older ones are brought up to date.
///
/// The version is SQLite's `user_version`. A journal of a newer version than ``version`` is refused: its tables may
/// mean what this program does not know.
enum JournalSchema {
    static let version = 5

    static func migrate(_ queue: DatabaseQueue) throws {
        let found = try queue.inDatabase { try Int.fetchOne($0, sql: "PRAGMA user_version") ?? 0 }
        guard found <= version else {
            throw CacheError.unusable(
                "the journal \(queue.path) was written by a newer sluice (schema \(found), this one knows \(version)):"
                    + " install the newer version, or name another --state-dir")
        }
        guard found < version else { return }
        try queue.write { database in
            if found < 1 { try database.execute(sql: version1) }
            if found < 2 { try database.execute(sql: version2) }
            if found < 3 { try database.execute(sql: version3) }
            if found < 4 { try database.execute(sql: version4) }
            if found < 5 { try database.execute(sql: version5) }
            try database.execute(sql: "PRAGMA user_version = \(version)")
        }
    }

    private static let version1 = """
        CREATE TABLE property (
            name TEXT PRIMARY KEY, value TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE inode (
            ino INTEGER PRIMARY KEY AUTOINCREMENT,
            kind INTEGER NOT NULL, mode INTEGER NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL,
            size INTEGER NOT NULL,
            accessed_ns INTEGER NOT NULL, modified_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL,
            links INTEGER NOT NULL, target TEXT,
            pending INTEGER NOT NULL,
            remote_key TEXT, remote_etag TEXT, remote_size INTEGER,
            attempt_key TEXT, attempt_token TEXT,
            local INTEGER NOT NULL, local_bytes INTEGER NOT NULL,
            metadata_known INTEGER NOT NULL, remote_seq INTEGER NOT NULL,
            last_used INTEGER NOT NULL DEFAULT 0
        );
        CREATE INDEX inode_pending ON inode(ino) WHERE pending <> 0;
        CREATE INDEX inode_orphan ON inode(ino) WHERE links = 0;
        CREATE INDEX inode_remote ON inode(remote_key) WHERE remote_key IS NOT NULL;
        CREATE INDEX inode_local ON inode(last_used) WHERE local <> 0;
        CREATE TABLE dentry (
            parent INTEGER NOT NULL, name TEXT NOT NULL, ino INTEGER NOT NULL,
            PRIMARY KEY (parent, name)
        ) WITHOUT ROWID;
        CREATE INDEX dentry_ino ON dentry(ino);
        CREATE TABLE xattr (
            ino INTEGER NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,
            PRIMARY KEY (ino, name)
        ) WITHOUT ROWID;
        CREATE TABLE listing (
            ino INTEGER PRIMARY KEY, listed_ns INTEGER NOT NULL
        );
        CREATE TABLE tombstone (
            key TEXT PRIMARY KEY, etag TEXT, token TEXT
        ) WITHOUT ROWID;
        CREATE TABLE upload (
            ino INTEGER PRIMARY KEY, key TEXT NOT NULL, upload_id TEXT NOT NULL, part_size INTEGER NOT NULL,
            token TEXT NOT NULL
        );
        CREATE TABLE part (
            ino INTEGER NOT NULL, number INTEGER NOT NULL, etag TEXT NOT NULL, size INTEGER NOT NULL,
            md5 TEXT NOT NULL,
            PRIMARY KEY (ino, number)
        ) WITHOUT ROWID;
        CREATE TABLE discard (
            ino INTEGER PRIMARY KEY
        );
        CREATE TABLE event (
            id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, path TEXT NOT NULL, message TEXT NOT NULL,
            time_ns INTEGER NOT NULL
        );
        """

    /// Devices, and further names of files (hard links).
    private static let version2 = """
        ALTER TABLE inode ADD COLUMN device INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE inode ADD COLUMN alias_of INTEGER;
        CREATE INDEX inode_alias ON inode(alias_of) WHERE alias_of IS NOT NULL;
        """

    /// Checksums of what is in data files.
    private static let version3 = """
        CREATE TABLE checksum (
            ino INTEGER NOT NULL, page INTEGER NOT NULL, checksums BLOB NOT NULL,
            PRIMARY KEY (ino, page)
        ) WITHOUT ROWID;
        CREATE TRIGGER checksum_of_changed AFTER UPDATE OF pending, local ON inode
        WHEN new.pending & 1 <> 0 AND old.pending & 1 = 0 OR new.local = 0 AND old.local <> 0
        BEGIN
            DELETE FROM checksum WHERE ino = new.ino;
        END;
        CREATE TRIGGER checksum_of_deleted AFTER DELETE ON inode
        BEGIN
            DELETE FROM checksum WHERE ino = old.ino;
        END;
        """

    /// By what parts are known again, which was their MD5 before. Checksums stay while a file is changed: they are those of
    /// the object that it stands on.
    private static let version4 = """
        ALTER TABLE part ADD COLUMN fingerprint INTEGER;
        DROP TRIGGER checksum_of_changed;
        CREATE TRIGGER checksum_of_changed AFTER UPDATE OF pending, local, remote_etag ON inode
        WHEN new.local = 0 AND old.local <> 0 OR old.pending & 1 <> 0 AND new.pending & 1 = 0
            OR new.pending & 1 <> 0 AND new.remote_etag IS NOT old.remote_etag
        BEGIN
            DELETE FROM checksum WHERE ino = new.ino;
        END;
        """

    /// By what the store checks the parts of an upload, and what it found.
    private static let version5 = """
        ALTER TABLE upload ADD COLUMN checksum TEXT;
        ALTER TABLE part ADD COLUMN checksum TEXT;
        """
}

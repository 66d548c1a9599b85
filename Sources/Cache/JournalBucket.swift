import Foundation
import GRDB
import ObjectStore
import Platform

/// An object that is to be deleted because its file was, or moved away: still the version it was then.
public struct Tombstone: Equatable, Sendable {
    public var key: ObjectKey
    /// The version that may be deleted; nil if an upload's outcome is unknown.
    public var etag: ETag?
    /// Tokens of uploads whose outcome is unknown, separated by spaces: an object that carries one of them may be
    /// deleted as well.
    public var token: String?

    public init(key: ObjectKey, etag: ETag?, token: String?) {
        self.key = key
        self.etag = etag
        self.token = token
    }
}

/// A multipart upload under way.
public struct MultipartRecord: Equatable, Sendable {
    public var key: ObjectKey
    public var id: UploadID
    /// Bytes of the first parts.
    public var partSize: Int64
    /// In the metadata of the object it will make.
    public var token: String

    /// Whether the store was asked to make it, and its answer is not known.
    public var isBeingCreated: Bool { id.value.isEmpty }

    public init(key: ObjectKey, id: UploadID, partSize: Int64, token: String) {
        self.key = key
        self.id = id
        self.partSize = partSize
        self.token = token
    }
}

/// A part that was sent, and by what a later pass sees whether its bytes changed; nil if they may be any.
public struct PartRecord: Equatable, Sendable {
    public var part: UploadedPart
    public var fingerprint: Fingerprint?

    public init(part: UploadedPart, fingerprint: Fingerprint?) {
        self.part = part
        self.fingerprint = fingerprint
    }
}

/// Something a person should know: kept until it is dismissed, at most ``limit`` of a kind.
public struct JournalEvent: Equatable, Sendable {
    public enum Kind: String, Sendable {
        case conflict
        case error
    }

    public static let limit = 1000

    public var kind: Kind
    /// Path below the root of the mount.
    public var path: String
    public var message: String
    public var time: Timestamp

    public init(kind: Kind, path: String, message: String, time: Timestamp) {
        self.kind = kind
        self.path = path
        self.message = message
        self.time = time
    }
}

// MARK: Listings

extension JournalTransaction {
    /// Whether the directory's names in the bucket were ever listed whole.
    public func isListed(_ directory: InodeNumber) throws -> Bool {
        try number("SELECT 1 FROM listing WHERE ino = ?", [directory.sql]) != nil
    }

    /// - Parameter time: when the listing began, by ``TimeSource/monotonic``; zero: long ago.
    public func setListed(_ directory: InodeNumber, at time: Duration) throws {
        try execute("INSERT OR REPLACE INTO listing (ino, listed_ns) VALUES (?, ?)", [directory.sql, time.nanoseconds])
    }

    /// Directories whose listings began after `start` and not later than `end`, in this boot of the machine.
    public func listings(
        after start: Duration, through end: Duration
    ) throws -> [(directory: InodeNumber, time: Duration)] {
        // What is not of this boot has the time zero, or that of the wall clock, which former versions wrote.
        let limits = [max(.zero, start).nanoseconds, end.nanoseconds]
        return try all("SELECT ino, listed_ns FROM listing WHERE listed_ns > ? AND listed_ns <= ?", limits) { row in
            (InodeNumber(sql: row[0]), .nanoseconds(row[1] as Int64))
        }
    }

    /// The monotonic clock began anew.
    func forgetWhenListed() throws {
        try execute("UPDATE listing SET listed_ns = 0 WHERE listed_ns <> 0")
    }
}

// MARK: Tombstones

extension JournalTransaction {
    public func tombstone(at key: ObjectKey) throws -> Tombstone? {
        try first("SELECT key, etag, token FROM tombstone WHERE key = ?", [key.string], Tombstone.init(row:))
    }

    /// At most `limit`, in the order of keys, behind `key`.
    public func tombstones(after key: ObjectKey?, limit: Int) throws -> [Tombstone] {
        try all(
            "SELECT key, etag, token FROM tombstone WHERE key > ? ORDER BY key LIMIT ?", [key?.string ?? "", limit],
            Tombstone.init(row:))
    }

    public func tombstoneCount() throws -> Int {
        Int(try number("SELECT COUNT(*) FROM tombstone") ?? 0)
    }

    /// Whether anything at a key prefix, which ends in a slash or is empty, waits to be deleted.
    public func hasTombstones(withPrefix prefix: String) throws -> Bool {
        guard !prefix.isEmpty else { return try tombstoneCount() > 0 }
        return try number(
            "SELECT 1 FROM tombstone WHERE key >= ? AND key < ? LIMIT 1", [prefix, Self.successor(of: prefix)]) != nil
    }

    /// Where uploads of files that have names may have made objects that the journal does not know yet.
    public func attemptedKeys() throws -> Set<ObjectKey> {
        let sql = "SELECT attempt_key FROM inode WHERE pending <> 0 AND links > 0 AND attempt_key IS NOT NULL"
        return Set(try all(sql, []) { ObjectKey($0[0]) })
    }

    /// The keys from one to another at which, as far as is known, files that have names have their objects, or objects
    /// wait to be deleted.
    public func takenKeys(from first: ObjectKey, through last: ObjectKey) throws -> Set<ObjectKey> {
        let sql = """
            SELECT remote_key FROM inode WHERE remote_key BETWEEN ?1 AND ?2 AND links > 0
            UNION ALL SELECT key FROM tombstone WHERE key BETWEEN ?1 AND ?2
            """
        return Set(try all(sql, [first.string, last.string]) { ObjectKey($0[0]) })
    }

    /// Whether a file that has a name has its object, as far as is known, at a key prefix that ends in a slash.
    public func hasRemoteKeys(withPrefix prefix: String) throws -> Bool {
        try number(
            "SELECT 1 FROM inode WHERE remote_key >= ? AND remote_key < ? AND links > 0 LIMIT 1",
            [prefix, Self.successor(of: prefix)]) != nil
    }

    /// The first string behind all that start with `prefix`, which ends in a slash: `0` follows `/`.
    private static func successor(of prefix: String) -> String {
        String(prefix.dropLast()) + "0"
    }

    /// Whether an object at a key was deleted after `sequence`: a listing that began then may still have it.
    public func hasDeparted(_ key: ObjectKey, since sequence: Int64) -> Bool {
        journal.departed.contains(key, since: sequence)
    }

    /// The same for any key that starts with a prefix.
    public func hasDeparted(withPrefix prefix: String, since sequence: Int64) -> Bool {
        journal.departed.contains(withPrefix: prefix, since: sequence)
    }

    public func setTombstone(_ tombstone: Tombstone) throws {
        try execute(
            "INSERT OR REPLACE INTO tombstone (key, etag, token) VALUES (?, ?, ?)",
            [tombstone.key.string, tombstone.etag?.value, tombstone.token])
    }

    public func removeTombstone(at key: ObjectKey) throws {
        try execute("DELETE FROM tombstone WHERE key = ?", [key.string])
        journal.departed.record(key, at: journal.nextSequence())
    }
}

extension Tombstone {
    fileprivate init(row: JournalRow) {
        self.init(
            key: ObjectKey(row[0]), etag: (row[1] as String?).map(ETag.init), token: row[2])
    }
}

// MARK: Multipart uploads

extension JournalTransaction {
    public func multipart(of inode: InodeNumber) throws -> MultipartRecord? {
        let sql = "SELECT \(MultipartRecord.columns) FROM upload WHERE ino = ?"
        return try first(sql, [inode.sql], MultipartRecord.init(row:))
    }

    /// Whether an inode has an object or an upload under way, which carry its attributes: what changes of them is pending.
    public func isInBucketOrUnderWay(_ inode: Inode) throws -> Bool {
        try inode.remote != nil || inode.attempt != nil || multipart(of: inode.number) != nil
    }

    /// The ids of all uploads to a key that are known.
    public func multipartIDs(of key: ObjectKey) throws -> Set<UploadID> {
        Set(try all("SELECT upload_id FROM upload WHERE key = ?", [key.string]) { UploadID($0[0]) })
    }

    /// Uploads of files that have no name any more: the store is to be told to drop their parts.
    public func abandonedMultiparts() throws -> [(inode: InodeNumber, record: MultipartRecord)] {
        let sql = """
            SELECT \(MultipartRecord.columns), ino FROM upload
            WHERE NOT EXISTS (SELECT 1 FROM inode WHERE inode.ino = upload.ino AND links > 0)
            """
        return try all(sql, []) { (InodeNumber(sql: $0[5]), MultipartRecord(row: $0)) }
    }

    /// Starts the record of a new upload; parts of a former one are forgotten.
    public func setMultipart(_ record: MultipartRecord, of inode: InodeNumber) throws {
        try removeMultipart(of: inode)
        try execute(
            "INSERT INTO upload (ino, \(MultipartRecord.columns)) VALUES (?, ?, ?, ?, ?, ?)",
            [
                inode.sql, record.key.string, record.id.value, record.id.checksum?.rawValue, record.partSize,
                record.token,
            ])
    }

    public func removeMultipart(of inode: InodeNumber) throws {
        try execute("DELETE FROM upload WHERE ino = ?", [inode.sql])
        try execute("DELETE FROM part WHERE ino = ?", [inode.sql])
    }

    public func parts(of inode: InodeNumber) throws -> [PartRecord] {
        let sql = "SELECT number, etag, size, md5, checksum, fingerprint FROM part WHERE ino = ? ORDER BY number"
        return try all(sql, [inode.sql]) { row in
            let md5: String = row[3]
            let fingerprint: Int64? = row[5]
            return PartRecord(
                part: UploadedPart(
                    number: row[0], etag: ETag(row[1]), size: row[2], md5: md5.isEmpty ? nil : md5, checksum: row[4]),
                fingerprint: fingerprint.map { Fingerprint(value: UInt64(bitPattern: $0)) })
        }
    }

    public func setPart(_ record: PartRecord, of inode: InodeNumber) throws {
        try execute(
            """
            INSERT OR REPLACE INTO part (ino, number, etag, size, md5, checksum, fingerprint)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """,
            [
                inode.sql, record.part.number, record.part.etag.value, record.part.size, record.part.md5 ?? "",
                record.part.checksum, record.fingerprint.map { Int64(bitPattern: $0.value) },
            ])
    }
}

extension MultipartRecord {
    fileprivate static let columns = "key, upload_id, checksum, part_size, token"

    fileprivate init(row: JournalRow) {
        let checksum: String? = row[2]
        let id = UploadID(row[1], checksum: checksum.flatMap { Checksum.Algorithm(rawValue: $0) })
        self.init(key: ObjectKey(row[0]), id: id, partSize: row[3], token: row[4])
    }
}

// MARK: Extended attributes

extension JournalTransaction {
    public func extendedAttribute(_ name: String, of inode: InodeNumber) throws -> [UInt8]? {
        try first("SELECT value FROM xattr WHERE ino = ? AND name = ?", [inode.sql, name]) { $0[0] }
    }

    public func extendedAttributes(of inode: InodeNumber) throws -> [(name: String, value: [UInt8])] {
        try all("SELECT name, value FROM xattr WHERE ino = ? ORDER BY name", [inode.sql]) { ($0[0], $0[1]) }
    }

    public func setExtendedAttribute(_ name: String, to value: [UInt8]?, of inode: InodeNumber) throws {
        if let value {
            try execute(
                "INSERT OR REPLACE INTO xattr (ino, name, value) VALUES (?, ?, ?)",
                [inode.sql, name, value.withUnsafeBytes { Data($0) }])
        } else {
            try execute("DELETE FROM xattr WHERE ino = ? AND name = ?", [inode.sql, name])
        }
    }
}

// MARK: Events

extension JournalTransaction {
    public func record(_ event: JournalEvent) throws {
        try execute(
            "INSERT INTO event (kind, path, message, time_ns) VALUES (?, ?, ?, ?)",
            [event.kind.rawValue, event.path, event.message, event.time.nanoseconds])
        try execute(
            """
            DELETE FROM event WHERE kind = ?1 AND id <= (SELECT MAX(id) FROM event WHERE kind = ?1) - ?2
            """, [event.kind.rawValue, JournalEvent.limit])
    }

    /// Oldest first.
    public func events(_ kind: JournalEvent.Kind) throws -> [JournalEvent] {
        try all("SELECT path, message, time_ns FROM event WHERE kind = ? ORDER BY id", [kind.rawValue]) { row in
            JournalEvent(kind: kind, path: row[0], message: row[1], time: Timestamp(nanoseconds: row[2]))
        }
    }
}

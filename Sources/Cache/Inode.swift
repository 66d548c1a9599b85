import GRDB
import ObjectStore
import Platform

/// One row of the journal's inode table: what is known of a file without looking at its bytes.
public struct Inode: Equatable, Sendable {
    /// How much of the object's bytes is on the local disk. The raw values are stored in the journal.
    public enum LocalData: Int, Sendable {
        /// There is no data file.
        case none = 0
        /// The data file holds the ranges its range log names.
        case partial = 1
        /// The data file holds every byte.
        case complete = 2
    }

    /// An upload that was begun and whose outcome may be unknown.
    public struct Attempt: Equatable, Sendable {
        public var key: ObjectKey
        /// Written into the object's metadata: an object that carries it is ours.
        public var token: String

        public init(key: ObjectKey, token: String) {
            self.key = key
            self.token = token
        }
    }

    public let number: InodeNumber
    public var kind: InodeKind
    /// `st_rdev` of a device, as Linux encodes it; 0 for other kinds.
    public var device: UInt64
    /// The inode that this name of it (a hard link) stands for; nil for the inode itself. The row of a further name
    /// has an object and pending changes of its own; bytes and attributes are those of the inode.
    public var aliasOf: InodeNumber?
    /// The low twelve bits of `st_mode`.
    public var permissions: UInt16
    public var userID: UInt32
    public var groupID: UInt32
    /// Bytes. While the file is open, ``CachedFile/size`` is ahead of it.
    public var size: Int64
    public var accessed: Timestamp
    public var modified: Timestamp
    public var changed: Timestamp
    /// Names that lead to it, further ones included; 0 for a file that was unlinked while open.
    public var linkCount: Int
    /// Where a symbolic link leads; nil for other kinds, and for a link whose body was not read yet.
    public var linkTarget: String?
    public var pending: PendingChange
    public var remote: RemoteObject?
    public var attempt: Attempt?
    public var local: LocalData
    /// Bytes that the data file took on the disk when it was last closed.
    public var localBytes: Int64
    /// Whether the object's user metadata was read, which listings do not carry.
    public var isMetadataKnown: Bool
    /// ``Journal/nextSequence()`` at the last change of ``remote``: a listing that began before it is older.
    public var remoteSequence: Int64

    public init(
        number: InodeNumber, kind: InodeKind, permissions: UInt16, userID: UInt32, groupID: UInt32, time: Timestamp
    ) {
        self.number = number
        self.kind = kind
        device = 0
        aliasOf = nil
        self.permissions = permissions
        self.userID = userID
        self.groupID = groupID
        size = 0
        accessed = time
        modified = time
        changed = time
        linkCount = 1
        linkTarget = nil
        pending = []
        remote = nil
        attempt = nil
        local = .none
        localBytes = 0
        isMetadataKnown = true
        remoteSequence = 0
    }
}

extension Inode {
    /// The columns of the table in the order of ``init(row:)`` and ``values``.
    static let columns = [
        "ino", "kind", "mode", "uid", "gid", "size", "accessed_ns", "modified_ns", "changed_ns", "links", "target",
        "pending", "remote_key", "remote_etag", "remote_size", "attempt_key", "attempt_token", "local",
        "local_bytes", "metadata_known", "remote_seq", "device", "alias_of",
    ]

    init(row: JournalRow) throws {
        guard let kind = InodeKind(rawValue: row[1]), let local = LocalData(rawValue: row[17]) else {
            throw CacheError.corrupt("inode \(row[0] as Int64) has an unknown kind or state")
        }
        number = InodeNumber(rawValue: UInt64(bitPattern: row[0]))
        self.kind = kind
        self.local = local
        permissions = UInt16(truncatingIfNeeded: row[2] as Int64)
        userID = UInt32(truncatingIfNeeded: row[3] as Int64)
        groupID = UInt32(truncatingIfNeeded: row[4] as Int64)
        size = row[5]
        accessed = Timestamp(nanoseconds: row[6])
        modified = Timestamp(nanoseconds: row[7])
        changed = Timestamp(nanoseconds: row[8])
        linkCount = row[9]
        linkTarget = row[10]
        pending = PendingChange(rawValue: row[11])
        if let key = row[12] as String?, let etag = row[13] as String? {
            remote = RemoteObject(key: ObjectKey(key), etag: ETag(etag), size: row[14])
        } else {
            remote = nil
        }
        if let key = row[15] as String?, let token = row[16] as String? {
            attempt = Attempt(key: ObjectKey(key), token: token)
        } else {
            attempt = nil
        }
        localBytes = row[18]
        isMetadataKnown = row[19]
        remoteSequence = row[20]
        device = UInt64(bitPattern: row[21])
        aliasOf = (row[22] as Int64?).map(InodeNumber.init(sql:))
    }

    var values: [(any DatabaseValueConvertible)?] {
        [
            number.sql, kind.rawValue, Int64(permissions), Int64(userID), Int64(groupID), size,
            accessed.nanoseconds, modified.nanoseconds, changed.nanoseconds, linkCount, linkTarget,
            pending.rawValue, remote?.key.string, remote?.etag.value, remote?.size, attempt?.key.string,
            attempt?.token, local.rawValue, localBytes, isMetadataKnown, remoteSequence, Int64(bitPattern: device),
            aliasOf?.sql,
        ]
    }
}

extension InodeNumber {
    /// SQLite's integers are signed.
    var sql: Int64 { Int64(bitPattern: rawValue) }

    init(sql: Int64) { self.init(rawValue: UInt64(bitPattern: sql)) }
}

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

    /// Throws ``CacheError/corrupt(_:)`` for a row that this program cannot have written: a damaged database, or a hand
    /// in it. Whatever is taken over is safe to count with.
    init(row: JournalRow) throws {
        let read = CheckedInodeRow(row: row)
        let number = try read.integer(0, 1...Int64.max)
        self.number = InodeNumber(sql: number)
        guard let kind = InodeKind(rawValue: Int(try read.integer(1))) else { throw read.damage(1) }
        guard let local = LocalData(rawValue: Int(try read.integer(17))) else { throw read.damage(17) }
        self.kind = kind
        self.local = local
        permissions = UInt16(try read.integer(2, 0...0o7777))
        userID = UInt32(try read.integer(3, 0...Int64(UInt32.max)))
        groupID = UInt32(try read.integer(4, 0...Int64(UInt32.max)))
        size = try read.integer(5, 0...Int64.max)
        accessed = Timestamp(nanoseconds: try read.integer(6))
        modified = Timestamp(nanoseconds: try read.integer(7))
        changed = Timestamp(nanoseconds: try read.integer(8))
        linkCount = Int(try read.integer(9, 0...Int64(Int32.max)))
        linkTarget = try read.text(10)
        pending = PendingChange(rawValue: Int(try read.integer(11, 0...Int64(PendingChange.all.rawValue))))
        remote = try read.remote(key: 12, etag: 13, size: 14)
        attempt = try read.attempt(key: 15, token: 16)
        localBytes = try read.integer(18, 0...Self.largestLocalBytes)
        isMetadataKnown = try read.integer(19) != 0
        remoteSequence = try read.integer(20)
        device = UInt64(bitPattern: try read.integer(21))
        aliasOf = try read.alias(22, of: number)
    }

    /// No disk is larger: sums of such numbers do not overflow.
    private static let largestLocalBytes: Int64 = 1 << 48

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

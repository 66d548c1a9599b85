import Cache
import Platform

/// What `stat` shows of an inode.
public struct FileAttributes: Equatable, Sendable {
    public var inode: InodeNumber
    public var kind: InodeKind
    /// The low twelve bits of `st_mode`: permissions, set-id and sticky bits.
    public var permissions: UInt16
    public var linkCount: UInt32
    /// `st_rdev` of a device; 0 for other kinds.
    public var device: UInt64 = 0
    public var userID: UInt32
    public var groupID: UInt32
    /// Bytes.
    public var size: Int64
    /// Blocks of 512 bytes, by the size: what the file will take once it is local.
    public var blocks: Int64
    public var accessed: Timestamp
    public var modified: Timestamp
    public var changed: Timestamp

    public init(
        inode: InodeNumber, kind: InodeKind, permissions: UInt16, linkCount: UInt32, userID: UInt32,
        groupID: UInt32, size: Int64, accessed: Timestamp, modified: Timestamp, changed: Timestamp
    ) {
        self.inode = inode
        self.kind = kind
        self.permissions = permissions
        self.linkCount = linkCount
        self.userID = userID
        self.groupID = groupID
        self.size = size
        self.blocks = size / 512 + (size % 512 == 0 ? 0 : 1)
        self.accessed = accessed
        self.modified = modified
        self.changed = changed
    }
}

/// A name that was looked up: the kernel keeps one reference to the inode for each entry that it was given, until
/// ``FileSystemOperations/forget(_:count:)``.
public struct Entry: Equatable, Sendable {
    public var attributes: FileAttributes
    /// How long the kernel may answer for the name, and for the attributes, by itself.
    public var timeToLive: Duration

    public init(attributes: FileAttributes, timeToLive: Duration) {
        self.attributes = attributes
        self.timeToLive = timeToLive
    }
}

/// Which attributes `setattr` changes; nil leaves one as it is.
public struct AttributeChange: Equatable, Sendable {
    public enum Time: Equatable, Sendable {
        case now
        case at(Timestamp)
    }

    public var permissions: UInt16?
    public var userID: UInt32?
    public var groupID: UInt32?
    /// Bytes.
    public var size: Int64?
    public var accessed: Time?
    public var modified: Time?

    public init() {}
}

import Transfer

/// How a mount presents files.
public struct FileSystemOptions: Equatable, Sendable {
    /// Every change is refused with EROFS.
    public var isReadOnly = false
    /// Shown as the owner of every file, whatever is stored.
    public var userID: UInt32?
    public var groupID: UInt32?
    /// Permission bits taken away from what every file shows.
    public var umask: UInt16 = 0
    /// How old what is known of the bucket may be.
    public var metadataTimeToLive: Duration = .seconds(5)
    /// Attributes that go to the bucket; changes of others cause no request.
    public var metadata = MetadataPolicy.full
    /// Where attributes come from that nobody changed here.
    public var attributes = AttributeSource.auto
    /// The first look at a file brings bytes of it, where files are read after it.
    public var looksBringBytes = true
    /// Before the path of a file in its key; empty, or ends in a slash.
    public var keyPrefix = ""
    /// How long after the last close a file goes to the bucket.
    public var uploadDelay: Duration = .seconds(1)
    /// How long an operation waits for the network before it fails with EIO.
    public var networkDeadline: Duration = .seconds(10)
    /// How long a change waits for space while nothing gets on, before it fails with ENOSPC. Zero: it fails at once.
    public var fullWait: Duration = .seconds(300)
    /// Answered to `getxattr` of ``controlAttribute`` on the root: where the mount is spoken to.
    public var controlPath = ""

    public static let controlAttribute = VirtualAttribute.control.rawValue

    public init() {}
}

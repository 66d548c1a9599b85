import ObjectStore

/// The object in the bucket that an inode was last known to be.
public struct RemoteObject: Equatable, Sendable {
    public var key: ObjectKey
    public var etag: ETag
    /// Bytes.
    public var size: Int64

    public init(key: ObjectKey, etag: ETag, size: Int64) {
        self.key = key
        self.etag = etag
        self.size = size
    }
}

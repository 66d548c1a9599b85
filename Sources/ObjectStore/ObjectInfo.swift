import Platform

/// What a store says about one version of one object.
public struct ObjectInfo: Equatable, Sendable {
    public var key: ObjectKey
    /// Bytes of the body.
    public var size: Int64
    public var etag: ETag
    /// When the store took the object, by the store's clock.
    public var lastModified: Timestamp
    /// User metadata (`x-amz-meta-NAME`), names in lower case without the prefix. Empty in listings, which do not
    /// carry it.
    public var metadata: [String: String]

    public init(
        key: ObjectKey, size: Int64, etag: ETag, lastModified: Timestamp, metadata: [String: String] = [:]
    ) {
        self.key = key
        self.size = size
        self.etag = etag
        self.lastModified = lastModified
        self.metadata = metadata
    }
}

extension ObjectInfo {
    /// Twenty times the largest object of S3, and far from where sums overflow. Bytes.
    public static let maximumSize: Int64 = 1 << 50

    /// A size as a store writes it; nil if no object can have it.
    public static func size(_ text: some StringProtocol) -> Int64? {
        Int64(text).flatMap { (0...maximumSize).contains($0) ? $0 : nil }
    }
}

/// One page of a listing, keys in ascending order of their UTF-8 bytes.
public struct ListPage: Equatable, Sendable {
    public var objects: [ObjectInfo]
    /// Prefixes that end in the delimiter and stand for at least one key below them.
    public var commonPrefixes: [String]
    /// Pass it to the next call; nil on the last page.
    public var continuation: String?

    public init(objects: [ObjectInfo], commonPrefixes: [String], continuation: String?) {
        self.objects = objects
        self.commonPrefixes = commonPrefixes
        self.continuation = continuation
    }
}

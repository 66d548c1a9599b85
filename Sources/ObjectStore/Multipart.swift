/// The id a store gave to a multipart upload.
public struct UploadID: Hashable, Sendable, CustomStringConvertible {
    public let value: String
    /// By what the store compares parts with what was sent, if that was settled when the upload was created: all its parts
    /// need it. Lists of uploads do not tell it.
    public let checksum: Checksum.Algorithm?

    public init(_ value: String, checksum: Checksum.Algorithm? = nil) {
        self.value = value
        self.checksum = checksum
    }

    public var description: String { value }

    public static func == (one: UploadID, other: UploadID) -> Bool { one.value == other.value }

    public func hash(into hasher: inout Hasher) { hasher.combine(value) }
}

/// A part that the store holds.
public struct UploadedPart: Equatable, Sendable {
    /// 1 to 10,000.
    public var number: Int
    public var etag: ETag
    /// Bytes.
    public var size: Int64
    /// Of its bytes, in lower-case hexadecimal, where the store that took them just now is known to have it as ETag.
    public var md5: String?
    /// In base 64, of an upload with a checksum: the completion of that names it.
    public var checksum: String?

    public init(number: Int, etag: ETag, size: Int64, md5: String? = nil, checksum: String? = nil) {
        self.number = number
        self.etag = etag
        self.size = size
        self.md5 = md5
        self.checksum = checksum
    }
}

/// What multipart uploads may look like in a store.
public struct MultipartLimits: Equatable, Sendable {
    /// Smallest size of every part but the last, bytes.
    public var minimumPartSize: Int64
    /// Largest size of a part, and of an object sent or copied in one request, bytes.
    public var maximumPartSize: Int64
    public var maximumPartCount: Int
    /// Whether all parts but the last must have one size (Cloudflare R2).
    public var hasEqualParts: Bool

    public init(
        minimumPartSize: Int64, maximumPartSize: Int64, maximumPartCount: Int, hasEqualParts: Bool = false
    ) {
        self.minimumPartSize = minimumPartSize
        self.maximumPartSize = maximumPartSize
        self.maximumPartCount = maximumPartCount
        self.hasEqualParts = hasEqualParts
    }

    /// S3 user guide, "Amazon S3 multipart upload limits": 5 MiB, 5 GiB, 10,000.
    public static let s3 = MultipartLimits(
        minimumPartSize: 5 << 20, maximumPartSize: 5 << 30, maximumPartCount: 10_000)
}

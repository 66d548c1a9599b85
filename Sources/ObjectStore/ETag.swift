/// The entity tag of one version of an object, opaque, without the quotation marks it wears in HTTP headers.
public struct ETag: Hashable, Sendable, CustomStringConvertible {
    public let value: String

    public init(_ value: String) {
        self.value = value
    }

    public var description: String { value }

    /// The MD5 digest in lower-case hexadecimal if this tag has the form of one.
    ///
    /// S3 uses the MD5 of the body for objects sent in one PUT without KMS encryption, and a digest followed by
    /// `-COUNT` for multipart uploads (S3 API, "Object" data type).
    public var md5Hex: String? {
        let bytes = value.utf8
        let isHex = bytes.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        return bytes.count == 32 && isHex ? value : nil
    }
}

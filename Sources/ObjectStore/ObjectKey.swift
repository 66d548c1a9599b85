/// The name of an object in a bucket: UTF-8, 1 to 1,024 bytes on S3.
///
/// Compared, hashed and ordered by its UTF-8 bytes, as S3 does; Swift's own string comparison follows canonical
/// equivalence and would take two different keys for one.
public struct ObjectKey: Sendable, CustomStringConvertible {
    /// Longest key S3 accepts, in bytes of UTF-8 (S3 user guide, "Creating object key names").
    public static let maximumLength = 1024

    public let string: String

    public init(_ string: String) {
        self.string = string
    }

    public var description: String { string }

    /// Length in bytes of UTF-8.
    public var byteCount: Int { string.utf8.count }

    public func hasPrefix(_ prefix: String) -> Bool {
        string.utf8.starts(with: prefix.utf8)
    }
}

extension ObjectKey: Hashable, Comparable {
    public static func == (left: ObjectKey, right: ObjectKey) -> Bool {
        left.string.utf8.elementsEqual(right.string.utf8)
    }

    public static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        left.string.utf8.lexicographicallyPrecedes(right.string.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        var string = string
        string.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

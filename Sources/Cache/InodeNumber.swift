/// The number of an inode: stable over remounts, never used again for another file.
public struct InodeNumber: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public let rawValue: UInt64

    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The root directory, as FUSE fixes it (FUSE_ROOT_ID).
    public static let root = InodeNumber(rawValue: 1)

    public var description: String { String(rawValue) }

    public static func < (left: InodeNumber, right: InodeNumber) -> Bool { left.rawValue < right.rawValue }
}

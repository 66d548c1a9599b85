/// One component of a path: 1 to 255 bytes of UTF-8 without `/` and NUL, and neither `.` nor `..`.
///
/// Compared and hashed by its bytes, as Linux does, not by Swift's canonical equivalence.
public struct FileName: Sendable, CustomStringConvertible {
    /// NAME_MAX of Linux.
    public static let maximumLength = 255

    public let string: String

    /// Nil if no path can have such a component.
    public init?(_ string: String) {
        let bytes = string.utf8
        guard !bytes.isEmpty, bytes.count <= Self.maximumLength, string != ".", string != "..",
            !bytes.contains(where: { $0 == UInt8(ascii: "/") || $0 == 0 })
        else { return nil }
        self.string = string
    }

    public var description: String { string }
}

extension FileName: Hashable {
    public static func == (left: FileName, right: FileName) -> Bool {
        left.string.utf8.elementsEqual(right.string.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        for byte in string.utf8 { hasher.combine(byte) }
    }
}

/// One component of a path: 1 to 255 bytes without `/` and NUL, and neither `.` nor `..`.
///
/// Kept as the text that the component has in keys (see ``ByteText``). Compared and hashed by its bytes, as Linux
/// does, not by Swift's canonical equivalence.
public struct FileName: Sendable, CustomStringConvertible {
    /// NAME_MAX of Linux, bytes.
    public static let maximumLength = 255

    /// As in keys.
    public let string: String

    /// From a component of a key; nil if no path can have such a component.
    public init?(_ string: String) {
        var text = string
        guard text.withUTF8(Self.isComponent), ByteText.isCanonical(string),
            string.utf8.count <= Self.maximumLength || ByteText.decode(string).count <= Self.maximumLength
        else { return nil }
        self.string = string
    }

    private static func isComponent(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let isDots = bytes.count <= 2 && bytes.allSatisfy { $0 == UInt8(ascii: ".") }
        return !isDots && !bytes.contains { $0 == UInt8(ascii: "/") || $0 == 0 }
    }

    /// From the bytes that programs use.
    public init?(bytes: some Collection<UInt8>) {
        self.init(ByteText.encode(bytes))
    }

    public var description: String { string }
}

extension FileName: Hashable {
    public static func == (left: FileName, right: FileName) -> Bool {
        left.string.utf8.elementsEqual(right.string.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        var string = string
        string.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

extension FileName: Comparable {
    /// In the order of the bytes, which is that of the journal and of listings.
    public static func < (left: FileName, right: FileName) -> Bool {
        left.string.utf8.lexicographicallyPrecedes(right.string.utf8)
    }
}

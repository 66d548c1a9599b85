/// What names become in a salvage directory: the bytes that programs knew, but for what no name may be.
enum SalvageName {
    /// A name that ends so is of a file of which not all bytes were there.
    static let partialSuffix = Array(".partial".utf8)

    static func components(ofPath path: String) -> [[UInt8]] {
        path.split(separator: "/", omittingEmptySubsequences: false).map { component(String($0)) }
    }

    /// Of a file of the state directory, below ``Salvage/lostAndFound``.
    static func components(ofStray name: String) -> [[UInt8]] {
        let parts = name.split(separator: "/").map(String.init)
        let place = parts.first == "quarantine" ? parts : ["inode-" + (parts.last ?? "")]
        return ([Salvage.lostAndFound] + place).map(component)
    }

    static func partial(_ components: [[UInt8]]) -> [[UInt8]] {
        components.dropLast() + (components.last.map { [appending(partialSuffix, to: $0)] } ?? [])
    }

    /// Bytes that no name can have become `%` and two hexadecimal digits.
    static func component(_ text: String) -> [UInt8] {
        let bytes = ByteText.decode(text)
        switch text {
        case "": return Array("%".utf8)
        case ".", "..": return bytes.flatMap(escape)
        default:
            let plain = bytes.flatMap { $0 == 0 || $0 == UInt8(ascii: "/") ? escape($0) : [$0] }
            return Array(plain.prefix(FileName.maximumLength))
        }
    }

    /// Cut where it would be too long for a name.
    static func appending(_ suffix: [UInt8], to name: [UInt8]) -> [UInt8] {
        Array(name.prefix(FileName.maximumLength - suffix.count)) + suffix
    }

    private static func escape(_ byte: UInt8) -> [UInt8] {
        let digits = String(byte, radix: 16, uppercase: true)
        return Array("%\(digits.count == 1 ? "0" : "")\(digits)".utf8)
    }
}

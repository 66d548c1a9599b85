/// Where a key lies in the directory of a ``DirectoryStore``, and the way back. Pure.
///
/// A key that is a relative path lies at that path: `a/b` is the file `a/b`. All else is below the reserved directory
/// `.sluice-store`, which belongs to the store:
///
///     .sluice-store/keys/      objects whose key cannot be a path here, under an escaped name
///     .sluice-store/sidecars/  records of objects where the file system has no extended attributes
///     .sluice-store/uploads/   parts of multipart uploads
///     .sluice-store/tmp/       files that are being written
///     .sluice-store/lock       held while an object is put in place or removed
///
/// The escape, component by component of the key (components are what `/` separates): letters, digits, `-`, `_` and
/// `.` stand for themselves (`.` not in a component of dots alone), every other byte is `%` and two upper-case
/// hexadecimal digits. A component is cut after every 40 bytes. A directory `X%c` says that the component goes on in
/// the directory; `X`, or `%e` for nothing, that the component ends there; the file `X%o` is the object. So `a//b` is
/// `a/%e/b%o`, and byte order of keys is byte order of unescaped names at every level.
enum DirectoryLayout {
    static let reserved = ".sluice-store"
    static let keys = [reserved, "keys"]
    static let sidecars = [reserved, "sidecars"]
    static let uploads = [reserved, "uploads"]
    static let temporaries = [reserved, "tmp"]

    /// NAME_MAX of Linux file systems, bytes.
    static let longestName = 255
    private static let pieceLength = 40
    private static let slash = UInt8(ascii: "/")
    private static let percent = UInt8(ascii: "%")

    /// A path in the directory, and whether the key names the directory there (`a/`) or a file.
    struct PlainPath: Equatable {
        var components: [String]
        var isMarker: Bool
    }

    /// Nil for keys that no path can carry.
    static func plainPath(_ key: ObjectKey) -> PlainPath? {
        var bytes = Array(key.string.utf8)
        let isMarker = bytes.last == slash
        if isMarker { bytes.removeLast() }
        let parts = bytes.split(separator: slash, omittingEmptySubsequences: false)
        guard parts.allSatisfy(isPlain), !parts[0].elementsEqual(reserved.utf8) else { return nil }
        return PlainPath(components: parts.map { String(decoding: $0, as: UTF8.self) }, isMarker: isMarker)
    }

    private static func isPlain(_ part: ArraySlice<UInt8>) -> Bool {
        let dot = UInt8(ascii: ".")
        return (1...longestName).contains(part.count) && !part.contains(0) && Array(part) != [dot]
            && Array(part) != [dot, dot]
    }

    /// The path of the object below ``keys``.
    static func escapedPath(_ key: ObjectKey) -> [String] {
        let parts = Array(key.string.utf8).split(separator: slash, omittingEmptySubsequences: false)
        return parts.dropLast().flatMap { escape($0, as: .directory) }
            + (parts.last.map { escape($0, as: .object) } ?? [])
    }

    /// The path below ``keys`` of the directory for all keys that start with `components`, each followed by `/`.
    static func escapedDirectory(_ components: [ArraySlice<UInt8>]) -> [String] {
        components.flatMap { escape($0, as: .directory) }
    }

    enum PieceKind {
        case object
        case directory
        /// A directory in whose names the component goes on.
        case continuation
    }

    struct Piece: Equatable {
        var bytes: [UInt8]
        var kind: PieceKind
    }

    private static func escape(_ component: ArraySlice<UInt8>, as kind: PieceKind) -> [String] {
        var names: [String] = []
        var rest = component
        while rest.count >= pieceLength {
            names.append(name(of: Piece(bytes: Array(rest.prefix(pieceLength)), kind: .continuation)))
            rest = rest.dropFirst(pieceLength)
        }
        names.append(name(of: Piece(bytes: Array(rest), kind: kind)))
        return names
    }

    static func name(of piece: Piece) -> String {
        let dotsOnly = piece.bytes.allSatisfy { $0 == UInt8(ascii: ".") }
        let escaped = piece.bytes.map { byte in
            isUnreserved(byte) && !(dotsOnly && byte == UInt8(ascii: "."))
                ? String(UnicodeScalar(byte)) : "%" + Checksum.hex(CollectionOfOne(byte)).uppercased()
        }.joined()
        switch piece.kind {
        case .object: return escaped + "%o"
        case .continuation: return escaped + "%c"
        case .directory: return escaped.isEmpty ? "%e" : escaped
        }
    }

    /// The way back; nil for a name that the escape does not make.
    static func piece(of name: String) -> Piece? {
        var text = Array(name.utf8)
        var kind = PieceKind.directory
        if text.count >= 2, text[text.count - 2] == percent {
            switch text[text.count - 1] {
            case UInt8(ascii: "o"): kind = .object
            case UInt8(ascii: "c"): kind = .continuation
            case UInt8(ascii: "e") where text.count == 2: kind = .directory
            default: return unescape(text, kind, of: name)
            }
            text.removeLast(2)
        }
        return unescape(text, kind, of: name)
    }

    private static func unescape(_ text: [UInt8], _ kind: PieceKind, of name: String) -> Piece? {
        var bytes: [UInt8] = []
        var index = 0
        while index < text.count {
            if text[index] == percent {
                guard index + 2 < text.count,
                    let byte = UInt8(String(decoding: text[index + 1...index + 2], as: UTF8.self), radix: 16)
                else { return nil }
                bytes.append(byte)
                index += 3
            } else {
                bytes.append(text[index])
                index += 1
            }
        }
        let piece = Piece(bytes: bytes, kind: kind)
        return self.name(of: piece) == name ? piece : nil
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}

/// Text for bytes that need not be UTF-8, as names and targets of links on Linux, since keys of S3 always are.
///
/// UTF-8 stands for itself. A byte that is no part of UTF-8 becomes `‛` (U+201B) and two hexadecimal digits, as rclone
/// writes it; a `‛` of the bytes themselves is doubled where it could be taken for one of these. Different bytes
/// always have different texts.
public enum ByteText {
    private static let quote: Unicode.Scalar = "\u{201B}"
    private static let quoteStart: UInt8 = 0xE2
    private static let quoteBytes: [UInt8] = [quoteStart, 0x80, 0x9B]

    public static func encode(_ bytes: some Collection<UInt8>) -> String {
        if let text = String(validating: bytes, as: UTF8.self), !mayHoldQuote(text) { return text }
        // From the end: whether a quote must be doubled depends on what follows it.
        var reversed: [Unicode.Scalar] = []
        for piece in pieces(of: bytes).reversed() {
            switch piece {
            case .success(let scalar):
                reversed.append(scalar)
                if scalar == quote && isEscape(following: reversed.dropLast()) { reversed.append(quote) }
            case .failure(let invalid):
                reversed += digits(of: invalid.byte).reversed()
                reversed.append(quote)
            }
        }
        var text = ""
        text.unicodeScalars.append(contentsOf: reversed.reversed())
        return text
    }

    public static func decode(_ text: String) -> [UInt8] {
        guard mayHoldQuote(text) else { return Array(text.utf8) }
        var bytes: [UInt8] = []
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            if scalar != quote {
                bytes += UTF8.encode(scalar).map { Array($0) } ?? []
            } else if rest.first == quote {
                rest.removeFirst()
                bytes += quoteBytes
            } else if let byte = byte(of: rest.prefix(2)) {
                rest.removeFirst(2)
                bytes.append(byte)
            } else {
                bytes += quoteBytes
            }
        }
        return bytes
    }

    /// Whether bytes have this text: others may have written a key that is the text of none.
    public static func isCanonical(_ text: String) -> Bool {
        !mayHoldQuote(text) || encode(decode(text)).unicodeScalars.elementsEqual(text.unicodeScalars)
    }

    /// Quick, and seldom wrong: few names hold a character of this block.
    private static func mayHoldQuote(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { $0.contains(quoteStart) }
    }

    private struct Invalid: Error {
        var byte: UInt8
    }

    private static func pieces(of bytes: some Collection<UInt8>) -> [Result<Unicode.Scalar, Invalid>] {
        var pieces: [Result<Unicode.Scalar, Invalid>] = []
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            var input = rest.makeIterator()
            var parser = UTF8.ForwardParser()
            if case .valid(let encoded) = parser.parseScalar(from: &input) {
                pieces.append(.success(UTF8.decode(encoded)))
                rest.removeFirst(encoded.count)
            } else if let byte = rest.popFirst() {
                pieces.append(.failure(Invalid(byte: byte)))
            }
        }
        return pieces
    }

    /// Whether what follows a quote, given from its end, would make the two an escape.
    private static func isEscape(following reversed: ArraySlice<Unicode.Scalar>) -> Bool {
        reversed.last == quote || byte(of: reversed.suffix(2).reversed()) != nil
    }

    private static func byte(of digits: some Collection<Unicode.Scalar>) -> UInt8? {
        let isUpper = digits.allSatisfy { ("0"..."9").contains($0) || ("A"..."F").contains($0) }
        guard digits.count == 2, isUpper else { return nil }
        let text = String(String.UnicodeScalarView(digits))
        return UInt8(text, radix: 16).flatMap { $0 >= 0x80 ? $0 : nil }
    }

    private static func digits(of byte: UInt8) -> [Unicode.Scalar] {
        Array(String(byte, radix: 16, uppercase: true).unicodeScalars)
    }
}

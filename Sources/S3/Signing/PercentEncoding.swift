/// Percent-encoding as SigV4 asks for it: every byte of UTF-8 but the unreserved characters of RFC 3986.
enum PercentEncoding {
    /// For names and values of a query: `/` is encoded too.
    static func query(_ text: String) -> String { encode(text, keepingSlash: false) }

    /// For an object key in a path: `/` stays, nothing is normalised ("Create a signed AWS API request", S3).
    static func path(_ text: String) -> String { encode(text, keepingSlash: true) }

    /// Decodes an `encoding-type=url` field of a listing, in which `+` stands for a space. A `%` that does not start an
    /// escape stays as it is. Bytes that are not UTF-8, which no key that S3 accepts has, become U+FFFD and NUL: no
    /// request can name such a key, so no path must.
    static func decodeListing(_ text: UnsafeRawBufferPointer) -> String {
        guard text.contains(where: { $0 == percent || $0 == plus }) else {
            return String(decoding: text, as: UTF8.self)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte == percent, index + 2 < text.count, let high = digit(text[index + 1]),
                let low = digit(text[index + 2])
            {
                bytes.append(high << 4 | low)
                index += 3
            } else {
                bytes.append(byte == plus ? space : byte)
                index += 1
            }
        }
        return String(validating: bytes, as: UTF8.self) ?? marked(String(decoding: bytes, as: UTF8.self))
    }

    private static func marked(_ repaired: String) -> String {
        var text = String.UnicodeScalarView()
        for scalar in repaired.unicodeScalars {
            text.append(scalar)
            if scalar == "\u{FFFD}" { text.append("\0") }
        }
        return String(text)
    }

    private static let percent = UInt8(ascii: "%")
    private static let plus = UInt8(ascii: "+")
    private static let slash = UInt8(ascii: "/")
    private static let space = UInt8(ascii: " ")
    private static let hexDigits = Array("0123456789ABCDEF".utf8)

    private static func encode(_ text: String, keepingSlash: Bool) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count + 16)
        for byte in text.utf8 {
            if isUnreserved(byte) || (keepingSlash && byte == slash) {
                bytes.append(byte)
            } else {
                bytes.append(percent)
                bytes.append(hexDigits[Int(byte >> 4)])
                bytes.append(hexDigits[Int(byte & 15)])
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

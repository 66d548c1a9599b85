import ObjectStore

/// Extended attributes as s3fs keeps them in `x-amz-meta-xattr`: `{"NAME":"BASE64",…}`, percent-encoded.
enum ExtendedAttributeText {
    static func encode(_ attributes: [String: [UInt8]]) -> String {
        let pairs = attributes.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\"\(Base64.encode($0.value))\"" }
        return percentEncode("{" + pairs.joined(separator: ",") + "}")
    }

    /// Pairs that cannot be read are left out.
    static func decode(_ text: String) -> [String: [UInt8]] {
        guard let text = percentDecode(text) else { return [:] }
        // s3fs escapes nothing inside names, so the quotation marks are what pairs are found by.
        let pieces = text.split(separator: "\"", omittingEmptySubsequences: false)
        var attributes: [String: [UInt8]] = [:]
        for index in stride(from: 1, to: pieces.count - 2, by: 4) {
            let separator = pieces[index + 1].filter { !$0.isWhitespace }
            guard separator == ":", isName(pieces[index]), let value = Base64.decode(pieces[index + 2]) else {
                continue
            }
            attributes[String(pieces[index])] = value
        }
        return attributes
    }

    /// Whether a name survives ``encode(_:)`` and ``decode(_:)``: s3fs's text has no way to write a quotation mark,
    /// and s3fs itself cannot read one.
    static func isName(_ name: some StringProtocol) -> Bool {
        !name.isEmpty && name.utf8.count <= 255 && !name.utf8.contains(UInt8(ascii: "\"")) && !name.utf8.contains(0)
    }

    private static func percentEncode(_ text: String) -> String {
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 48...57, 65...90, 97...122, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "~"):
                encoded.append(byte)
            default:
                encoded.append(UInt8(ascii: "%"))
                encoded.append(contentsOf: Checksum.hex([byte]).uppercased().utf8)
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    private static func percentDecode(_ text: String) -> String? {
        var decoded: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                decoded.append(byte)
                continue
            }
            guard let value = UInt8(String(Substring(rest.prefix(2))), radix: 16), rest.count >= 2 else { return nil }
            decoded.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: decoded, as: UTF8.self)
    }
}

/// The escape that keeps a value on its line of a record.
enum RecordText {
    static func escape(_ text: String, and other: Unicode.Scalar? = nil) -> String {
        var escaped = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if scalar.value < 0x20 || scalar.value == 0x7F || scalar == "%" || scalar == other {
                escaped.append(contentsOf: ("%" + Checksum.hex([UInt8(scalar.value)])).unicodeScalars)
            } else {
                escaped.append(scalar)
            }
        }
        return String(escaped)
    }

    static func unescape(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// What stands before and after the first separator.
    static func pair(_ text: Substring, _ separator: Character) -> (Substring, Substring)? {
        guard let index = text.utf8.firstIndex(where: { separator.asciiValue == $0 }) else { return nil }
        return (text[..<index], text[text.utf8.index(after: index)...])
    }
}

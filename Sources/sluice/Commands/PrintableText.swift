/// Text that comes from file names, servers and configuration, made fit for a terminal and for one line.
enum PrintableText {
    /// Control characters as `\n` or `\u{1b}`: no file name can forge a line or command a terminal.
    static func line(_ text: String) -> String {
        escape(text, alsoQuotes: false)
    }

    /// As a value of a log record: in quotes where it needs them.
    static func value(_ text: String) -> String {
        let isPlain =
            !text.isEmpty && text.unicodeScalars.allSatisfy { $0 != " " && $0 != "\"" && $0 != "\\" && !isControl($0) }
        return isPlain ? text : "\"\(escape(text, alsoQuotes: true))\""
    }

    private static func escape(_ text: String, alsoQuotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"" where alsoQuotes, "\\" where alsoQuotes: escaped += "\\\(scalar)"
            case "\n": escaped += "\\n"
            case _ where isControl(scalar): escaped += "\\u{\(String(scalar.value, radix: 16))}"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// C0, DEL, C1, and the line ends and direction marks of Unicode (UAX 9).
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f...0x9f, 0x2028...0x2029, 0x200e...0x200f, 0x202a...0x202e, 0x2066...0x2069: true
        default: false
        }
    }
}

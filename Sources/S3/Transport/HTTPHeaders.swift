/// The headers of an answer: names in lower case, in the order they came.
struct HTTPHeaders: Equatable, Sendable {
    private(set) var fields: [(name: String, value: String)] = []

    /// The first value of a header, its name in any case.
    subscript(name: String) -> String? {
        let name = name.lowercased()
        return fields.first { $0.name == name }?.value
    }

    /// Takes `Name: value`; anything else is dropped, as RFC 9112 leaves it to the recipient.
    mutating func add(line: Substring) {
        guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else { return }
        add(String(line[..<colon]), Self.trimmed(line[line.utf8.index(after: colon)...]))
    }

    mutating func add(_ name: String, _ value: String) { fields.append((name.lowercased(), value)) }

    private static func trimmed(_ text: Substring) -> String {
        let isBlank = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        guard let start = text.utf8.firstIndex(where: { !isBlank($0) }),
            let end = text.utf8.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(text[start...end])
    }

    static func == (left: HTTPHeaders, right: HTTPHeaders) -> Bool {
        left.fields.elementsEqual(right.fields) { $0 == $1 }
    }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { add(name, value) }
    }
}

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
        guard let colon = line.firstIndex(of: ":") else { return }
        add(line[..<colon].lowercased(), Self.trimmed(line[line.index(after: colon)...]))
    }

    mutating func add(_ name: String, _ value: String) { fields.append((name.lowercased(), value)) }

    private static func trimmed(_ text: Substring) -> String {
        let isBlank = { (character: Character) in character == " " || character == "\t" }
        guard let start = text.firstIndex(where: { !isBlank($0) }), let end = text.lastIndex(where: { !isBlank($0) })
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

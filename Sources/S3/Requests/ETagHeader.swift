import ObjectStore

/// The forms of an entity tag in headers and documents.
extension ETag {
    /// Takes the quotation marks off, and the mark of a weak tag.
    init(header text: some Collection<UInt8>) {
        var text = text[...]
        if text.starts(with: "W/".utf8) { text = text.dropFirst(2) }
        let quote = UInt8(ascii: "\"")
        if text.first == quote, text.dropFirst().contains(quote) { text = text.dropFirst().prefix { $0 != quote } }
        self.init(String(decoding: text, as: UTF8.self))
    }

    init(header text: String) { self.init(header: text.utf8) }

    /// As If-Match wants it.
    var quoted: String { "\"\(value)\"" }
}

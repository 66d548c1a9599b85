/// Splits a command into words as a shell does, without being one: quotes and backslashes count, nothing is expanded
/// ("Sourcing credentials with an external process", AWS SDKs and tools reference). Pure.
enum CommandWords {
    /// Nil for a quote without an end or a backslash without a character. By scalars: a mark behind a quote makes another
    /// character of it, and is a quote for a shell all the same.
    static func split(_ command: String) -> [String]? {
        var words: [String] = []
        var word: String.UnicodeScalarView?
        var quote: Unicode.Scalar?
        var scalars = command.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            var text = word ?? String.UnicodeScalarView()
            if scalar == "\\", quote != "'" {
                guard let next = scalars.next() else { return nil }
                // Within double quotes, a backslash is one unless it stands before what it takes the meaning from.
                if quote == "\"" && next != "\"" && next != "\\" { text.append("\\") }
                text.append(next)
            } else if let open = quote {
                if scalar == open { quote = nil } else { text.append(scalar) }
            } else if scalar == "'" || scalar == "\"" {
                quote = scalar
            } else if scalar.properties.isWhitespace {
                if let complete = word { words.append(String(complete)) }
                word = nil
                continue
            } else {
                text.append(scalar)
            }
            word = text
        }
        guard quote == nil else { return nil }
        if let word { words.append(String(word)) }
        return words
    }
}

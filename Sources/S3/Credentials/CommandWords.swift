/// Splits a command into words as a shell does, without being one: quotes and backslashes count, nothing is expanded
/// ("Sourcing credentials with an external process", AWS SDKs and tools reference). Pure.
enum CommandWords {
    /// Nil for a quote without an end or a backslash without a character.
    static func split(_ command: String) -> [String]? {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var characters = command.makeIterator()
        while let character = characters.next() {
            if character == "\\", quote != "'" {
                guard let next = characters.next() else { return nil }
                // Within double quotes, a backslash is one unless it stands before what it takes the meaning from.
                let isLiteral = quote == "\"" && next != "\"" && next != "\\"
                word = (word ?? "") + (isLiteral ? "\\" : "") + String(next)
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if character.isWhitespace {
                if let complete = word { words.append(complete) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        guard quote == nil else { return nil }
        if let word { words.append(word) }
        return words
    }
}

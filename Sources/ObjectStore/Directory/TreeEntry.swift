/// A name in one directory of a ``TreeCursor``, ordered by the bytes it adds to a key. Small: a directory may have
/// millions.
struct TreeEntry: Comparable {
    let name: String
    let isDirectory: Bool
    /// Nil if the name itself is what the key goes on with.
    private let unescaped: [UInt8]?

    init(plain name: String, isDirectory: Bool) {
        self.name = name
        self.isDirectory = isDirectory
        unescaped = nil
    }

    /// Nil if the escape makes no such name.
    init?(escaped name: String, isDirectory: Bool) {
        guard let piece = DirectoryLayout.piece(of: name), (piece.kind == .object) == !isDirectory else { return nil }
        self.name = name
        self.isDirectory = isDirectory
        unescaped = piece.kind == .directory ? piece.bytes + [UInt8(ascii: "/")] : piece.bytes
    }

    /// What it adds to the key; ends in `/` where a component ends.
    var tail: [UInt8] {
        unescaped ?? (isDirectory ? Array(name.utf8) + [UInt8(ascii: "/")] : Array(name.utf8))
    }

    static func < (left: TreeEntry, right: TreeEntry) -> Bool {
        if left.unescaped != nil || right.unescaped != nil {
            return left.tail.lexicographicallyPrecedes(right.tail)
        }
        var leftBytes = left.name.utf8.makeIterator()
        var rightBytes = right.name.utf8.makeIterator()
        while true {
            let leftByte = leftBytes.next()
            let rightByte = rightBytes.next()
            if leftByte == nil && rightByte == nil { return !left.isDirectory && right.isDirectory }
            // Behind its name a directory has `/`, a file nothing; no name contains either.
            let leftRank = leftByte.map(Int.init) ?? (left.isDirectory ? Int(UInt8(ascii: "/")) : -1)
            let rightRank = rightByte.map(Int.init) ?? (right.isDirectory ? Int(UInt8(ascii: "/")) : -1)
            if leftRank != rightRank { return leftRank < rightRank }
        }
    }

    static func == (left: TreeEntry, right: TreeEntry) -> Bool {
        left.isDirectory == right.isDirectory && left.name.utf8.elementsEqual(right.name.utf8)
    }
}

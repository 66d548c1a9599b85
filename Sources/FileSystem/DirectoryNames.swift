import Cache

/// Names of a directory in the order in which they were found, packed: a million of them take some 40 MB. Pure.
struct DirectoryNames {
    struct Entry: Equatable {
        var name: FileName
        var inode: InodeNumber
        var kind: InodeKind
        /// Only the object's metadata could tell whether it is a symbolic link.
        var isAmbiguous: Bool
    }

    private struct Chunk {
        var bytes: [UInt8] = []
        /// Of each name, in `bytes`.
        var ends: [UInt32] = []
        var inodes: [InodeNumber] = []
        var kinds: [UInt8] = []
    }

    /// Names of one chunk: what grows is small.
    private static let chunkLength = 1024
    private static let ambiguous: UInt8 = 0x80

    private var chunks: [Chunk] = []
    private(set) var count = 0

    mutating func append(_ entry: Entry) {
        if count % Self.chunkLength == 0 { chunks.append(Chunk()) }
        let last = chunks.count - 1
        chunks[last].bytes += entry.name.string.utf8
        chunks[last].ends.append(UInt32(chunks[last].bytes.count))
        chunks[last].inodes.append(entry.inode)
        chunks[last].kinds.append(UInt8(entry.kind.rawValue) | (entry.isAmbiguous ? Self.ambiguous : 0))
        count += 1
    }

    subscript(index: Int) -> Entry {
        let chunk = chunks[index / Self.chunkLength]
        let place = index % Self.chunkLength
        let start = place == 0 ? 0 : Int(chunk.ends[place - 1])
        let text = String(decoding: chunk.bytes[start..<Int(chunk.ends[place])], as: UTF8.self)
        guard let name = FileName(text), let kind = InodeKind(rawValue: Int(chunk.kinds[place] & ~Self.ambiguous))
        else { preconditionFailure("what was appended is read") }
        return Entry(
            name: name, inode: chunk.inodes[place], kind: kind, isAmbiguous: chunk.kinds[place] & Self.ambiguous != 0)
    }
}

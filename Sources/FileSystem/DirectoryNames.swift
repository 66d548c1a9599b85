import Cache

/// Names of a directory in the order in which they were found, packed: a million of them take some 15 MB. Pure.
///
/// Each name is kept as what differs from the one before it, which is at the start of many, and its inode as the distance
/// from the one before; every ``stride``th entry is kept whole, so that any is found by reading a few.
struct DirectoryNames {
    struct Entry: Equatable {
        var name: FileName
        var inode: InodeNumber
        var kind: InodeKind
        /// Only the object's metadata could tell whether it is a symbolic link.
        var isAmbiguous: Bool
    }

    /// What an entry is told apart from.
    private struct Former {
        var name: [UInt8] = []
        var inode: UInt64 = 0
    }

    private static let stride = 16
    /// Bytes after which the next whole entry begins another chunk: what is large would be copied whenever it grows.
    private static let chunkSize = 48 << 10
    private static let ambiguous: UInt8 = 0x80

    private var chunks: [[UInt8]] = []
    /// Where each whole entry is.
    private var wholes: [(chunk: UInt32, offset: UInt32)] = []
    private var former = Former()
    private(set) var count = 0

    mutating func append(_ entry: Entry) {
        if count % Self.stride == 0 { beginWhole() }
        var name = entry.name.string
        name.withUTF8 { append($0, entry) }
        count += 1
    }

    private mutating func append(_ name: UnsafeBufferPointer<UInt8>, _ entry: Entry) {
        var shared = 0
        let limit = min(name.count, former.name.count)
        while shared < limit, name[shared] == former.name[shared] { shared += 1 }
        let distance = Int64(bitPattern: entry.inode.rawValue &- former.inode)
        let last = chunks.count - 1
        Self.append(UInt64(shared), to: &chunks[last])
        Self.append(UInt64(name.count - shared), to: &chunks[last])
        chunks[last] += name[shared...]
        // The sign goes to the lowest bit, so that short distances are short either way.
        Self.append(UInt64(bitPattern: distance << 1 ^ distance >> 63), to: &chunks[last])
        chunks[last].append(UInt8(entry.kind.rawValue) | (entry.isAmbiguous ? Self.ambiguous : 0))
        former.name.replaceSubrange(shared..., with: name[shared...])
        former.inode = entry.inode.rawValue
    }

    private mutating func beginWhole() {
        former = Former()
        if chunks.last.map({ $0.count > Self.chunkSize }) ?? true { chunks.append([]) }
        wholes.append((UInt32(chunks.count - 1), UInt32(chunks[chunks.count - 1].count)))
    }

    subscript(index: Int) -> Entry {
        precondition(index < count, "what was appended is read")
        let whole = wholes[index / Self.stride]
        let bytes = chunks[Int(whole.chunk)]
        var place = Int(whole.offset)
        var former = Former()
        var kind: UInt8 = 0
        for _ in 0...index % Self.stride {
            former.name.removeSubrange(Int(Self.number(in: bytes, at: &place))...)
            let end = Int(Self.number(in: bytes, at: &place)) + place
            former.name += bytes[place..<end]
            place = end
            let zigzag = Self.number(in: bytes, at: &place)
            former.inode &+= zigzag >> 1 ^ (0 &- (zigzag & 1))
            kind = bytes[place]
            place += 1
        }
        guard let name = FileName(String(decoding: former.name, as: UTF8.self)),
            let known = InodeKind(rawValue: Int(kind & ~Self.ambiguous))
        else { preconditionFailure("what was appended is read") }
        return Entry(
            name: name, inode: InodeNumber(rawValue: former.inode), kind: known,
            isAmbiguous: kind & Self.ambiguous != 0)
    }

    /// Seven bits in each byte, the lowest first; the highest bit says that more follow.
    private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private static func number(in bytes: [UInt8], at place: inout Int) -> UInt64 {
        var (number, shift): (UInt64, UInt64) = (0, 0)
        while true {
            let byte = bytes[place]
            place += 1
            number |= UInt64(byte & 0x7f) << shift
            guard byte & 0x80 != 0 else { return number }
            shift += 7
        }
    }
}

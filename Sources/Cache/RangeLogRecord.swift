import Platform

/// One record of a ``RangeLog``: 32 bytes, so that no record crosses a disk sector.
///
/// Layout, little-endian: kind with a magic number (8), two operands (8 each), and the exclusive or of these three
/// with a constant (8). A record that does not add up ends the log.
enum RangeLogRecord: Equatable, Sendable {
    /// The bytes of this range are in the data file.
    case present(Range<Int64>)
    /// The file was cut to this size: the object no longer shows beyond.
    case limit(Int64)
    /// The bytes of all records before this offset in the log were synced to the disk.
    case synced(before: Int64)
    /// The records that follow were written in this boot of the machine.
    case boot(BootIdentity)
    /// The log holds for this version of the object as well: a copy of the bytes under another ETag.
    case version(BootIdentity)
    /// The bytes of this range were damaged: the data file does not have them any more.
    case absent(Range<Int64>)

    static let size = 32
    private static let magic: UInt64 = 0x534c_5247_0000_0000
    private static let seal: UInt64 = 0xa5a5_5a5a_c3c3_3c3c

    var bytes: [UInt8] {
        let (kind, first, second): (UInt64, UInt64, UInt64) =
            switch self {
            case .present(let range):
                (1, UInt64(bitPattern: range.lowerBound), UInt64(bitPattern: range.upperBound))
            case .limit(let size): (2, UInt64(bitPattern: size), 0)
            case .synced(let offset): (3, UInt64(bitPattern: offset), 0)
            case .boot(let boot): (4, boot.high, boot.low)
            case .version(let version): (5, version.high, version.low)
            case .absent(let range):
                (6, UInt64(bitPattern: range.lowerBound), UInt64(bitPattern: range.upperBound))
            }
        let head = Self.magic | kind
        return [head, first, second, head ^ first ^ second ^ Self.seal].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
        }
    }

    /// Nil if the bytes, ``size`` of them, are no record.
    init?(bytes: ArraySlice<UInt8>) {
        let words = (0..<4).map { index in
            bytes.dropFirst(index * 8).prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }
        guard bytes.count == Self.size, words[0] ^ words[1] ^ words[2] ^ Self.seal == words[3],
            words[0] & Self.magic == Self.magic
        else { return nil }
        let (first, second) = (Int64(bitPattern: words[1]), Int64(bitPattern: words[2]))
        switch words[0] & ~Self.magic {
        case 1 where 0 <= first && first <= second: self = .present(first..<second)
        case 2 where first >= 0: self = .limit(first)
        case 3 where first >= 0: self = .synced(before: first)
        case 4: self = .boot(BootIdentity(high: words[1], low: words[2]))
        case 5: self = .version(BootIdentity(high: words[1], low: words[2]))
        case 6 where 0 <= first && first <= second: self = .absent(first..<second)
        default: return nil
        }
    }
}

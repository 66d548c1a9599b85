import Platform

/// What tells the bytes of a range from others: XXH3 of the XXH3s of what it has of each block. 64 bits are against
/// mix-ups, not against attackers.
public struct Fingerprint: Equatable, Sendable {
    public let value: UInt64

    init(value: UInt64) { self.value = value }

    init(of checksums: [UInt64]) {
        value = checksums.withUnsafeBytes(BlockHash.checksum)
    }

    /// `range`, cut where blocks begin.
    static func pieces(of range: Range<Int64>) -> [Range<Int64>] {
        BlockChecksums.blocks(in: range).map { block in
            range.clamped(to: block * BlockChecksums.blockSize..<(block + 1) * BlockChecksums.blockSize)
        }
    }
}

/// Makes the fingerprint of a range of a file from its bytes as they pass.
///
/// Not safe for use by several threads at once.
public final class FingerprintMaker {
    private let start: Int64
    private var position: Int64
    private let hash = BlockHash()
    private(set) var checksums: [UInt64] = []

    /// `start`: where in the file the first byte is.
    public init(from start: Int64) {
        self.start = start
        position = start
    }

    public func update(_ bytes: UnsafeRawBufferPointer) {
        for piece in Fingerprint.pieces(of: position..<position + Int64(bytes.count)) {
            hash.update(bytes.bytes(of: piece, from: position))
            if piece.upperBound % BlockChecksums.blockSize == 0 { checksums.append(hash.finish()) }
        }
        position += Int64(bytes.count)
    }

    /// Of all bytes that passed.
    public func finish() -> Fingerprint {
        if position % BlockChecksums.blockSize != 0 { checksums.append(hash.finish()) }
        return Fingerprint(of: checksums)
    }

    /// The range and what was found of it, block by block; after ``finish()``.
    var pieces: [(bytes: Range<Int64>, checksum: UInt64)] {
        Array(zip(Fingerprint.pieces(of: start..<position), checksums))
    }
}

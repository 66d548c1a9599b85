import Platform

extension DiskFile {
    /// What is read at a time: it stays in the cache of the processor. Bytes.
    private static var pieceSize: Int64 { 64 << 10 }

    /// XXH3 of `bytes`, never 0; nil if the disk does not give all of them.
    func blockChecksum(of bytes: Range<Int64>) -> UInt64? {
        let piece = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Int(min(Self.pieceSize, bytes.length)), alignment: 64)
        defer { piece.deallocate() }
        let hash = BlockHash()
        for start in stride(from: bytes.lowerBound, to: bytes.upperBound, by: Int(Self.pieceSize)) {
            let count = Int(min(Self.pieceSize, bytes.upperBound - start))
            let buffer = UnsafeMutableRawBufferPointer(rebasing: piece[..<count])
            guard (try? read(into: buffer, at: start)) == count else { return nil }
            hash.update(UnsafeRawBufferPointer(buffer))
        }
        return hash.finish()
    }
}

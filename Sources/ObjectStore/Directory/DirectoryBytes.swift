import CLinux

/// Moves bodies between files, sources and sinks in bounded pieces.
enum DirectoryBytes {
    private static let pieceSize = 1 << 20

    /// Writes all of `body`; returns the MD5 of what was written, lower-case hexadecimal.
    static func receive(
        _ body: any ByteSource, into file: Descriptor, _ cancellation: Cancellation
    ) throws(StoreError) -> String {
        let checksum = Checksum(.md5)
        try inPieces(0..<body.count, cancellation) { piece, offset throws(StoreError) in
            do {
                try body.read(into: piece, at: offset)
            } catch {
                throw StoreError(.localFault, message: "the bytes to store could not be read: \(error)")
            }
            checksum.update(UnsafeRawBufferPointer(piece))
            try performing { () throws(SystemFault) in try file.write(UnsafeRawBufferPointer(piece), at: offset) }
        }
        return Checksum.hex(checksum.finish())
    }

    static func send(
        _ range: Range<Int64>, of file: Descriptor, to sink: any ByteSink, _ cancellation: Cancellation
    ) throws(StoreError) {
        try inPieces(range, cancellation) { piece, offset throws(StoreError) in
            try fill(piece, from: file, at: offset)
            do {
                try sink.write(UnsafeRawBufferPointer(piece), at: offset)
            } catch {
                throw StoreError(.localFault, message: "the bytes read could not be passed on: \(error)")
            }
        }
    }

    static func md5(of file: Descriptor, _ size: Int64, _ cancellation: Cancellation) throws(StoreError) -> String {
        let checksum = Checksum(.md5)
        try inPieces(0..<size, cancellation) { piece, offset throws(StoreError) in
            try fill(piece, from: file, at: offset)
            checksum.update(UnsafeRawBufferPointer(piece))
        }
        return Checksum.hex(checksum.finish())
    }

    /// In the kernel, by shared extents where the file system can; else by reading and writing.
    static func copy(
        _ range: Range<Int64>, of source: Descriptor, to target: Descriptor, at start: Int64,
        _ cancellation: Cancellation
    ) throws(StoreError) {
        var position = range.lowerBound
        while position < range.upperBound {
            try cancellation.check()
            let wanted = min(range.upperBound - position, 64 << 20)
            let copied = sluice_copy_file_range(
                source.raw, position, target.raw, start + position - range.lowerBound, Int(wanted))
            // Refused between these files, or shorter than it was: reading tells which.
            guard copied > 0 else { break }
            position += Int64(copied)
        }
        let shift = start - range.lowerBound
        try inPieces(position..<range.upperBound, cancellation) { piece, offset throws(StoreError) in
            try fill(piece, from: source, at: offset)
            try performing { () throws(SystemFault) in
                try target.write(UnsafeRawBufferPointer(piece), at: offset + shift)
            }
        }
    }

    private static func fill(
        _ piece: UnsafeMutableRawBufferPointer, from file: Descriptor, at offset: Int64
    ) throws(StoreError) {
        let count = try performing { () throws(SystemFault) in try file.read(into: piece, at: offset) }
        guard count == piece.count else { throw changedMeanwhile }
    }

    /// Another program rewrote a file in place while it was read.
    static let changedMeanwhile = StoreError(.conflict, message: "the file was changed while it was read")

    private static func inPieces(
        _ range: Range<Int64>, _ cancellation: Cancellation,
        _ body: (UnsafeMutableRawBufferPointer, Int64) throws(StoreError) -> Void
    ) throws(StoreError) {
        guard !range.isEmpty else { return }
        let size = Int(min(Int64(pieceSize), range.upperBound - range.lowerBound))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 4096)
        defer { buffer.deallocate() }
        var position = range.lowerBound
        while position < range.upperBound {
            try cancellation.check()
            let count = Int(min(Int64(size), range.upperBound - position))
            try body(UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]), position)
            position += Int64(count)
        }
    }
}

import ObjectStore

/// Bytes in memory as the body of an upload.
public struct MemoryByteSource: ByteSource {
    public struct OutOfBounds: Error {}

    public let bytes: [UInt8]

    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    public init(_ text: String) {
        self.init(Array(text.utf8))
    }

    /// The bytes of another body as they are now.
    init(copying body: any ByteSource) throws(StoreError) {
        var bytes = [UInt8](repeating: 0, count: Int(body.count))
        do {
            try bytes.withUnsafeMutableBytes { buffer in
                if !buffer.isEmpty { try body.read(into: buffer, at: 0) }
            }
        } catch {
            throw StoreError(.localFault, message: "\(error)")
        }
        self.bytes = bytes
    }

    public var count: Int64 { Int64(bytes.count) }

    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws {
        guard offset >= 0, Int(offset) + buffer.count <= bytes.count else { throw OutOfBounds() }
        buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count])
    }
}

import ObjectStore
import Synchronization

/// A few bytes that are sent.
struct FixedSource: ByteSource {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var count: Int64 { Int64(bytes.count) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) {
        buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count])
    }
}

/// A few bytes that are received.
final class CollectedBytes: ByteSink {
    private let collected = Mutex<[UInt8]>([])

    var bytes: [UInt8] { collected.withLock { $0 } }

    func begin(_ info: ObjectInfo) {}

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) {
        collected.withLock { $0.append(contentsOf: bytes) }
    }
}

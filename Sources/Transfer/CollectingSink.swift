import ObjectStore
import Synchronization

/// Keeps received bytes in memory: for bodies that are known to be small.
final class CollectingSink: ByteSink {
    private let collected = Mutex<[UInt8]>([])

    var bytes: [UInt8] { collected.withLock { $0 } }

    func begin(_ info: ObjectInfo) {}

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) {
        collected.withLock { $0.append(contentsOf: bytes) }
    }
}

import ObjectStore
import Synchronization

/// Passes so many bytes on to another sink and then throws, as a connection that breaks off.
final class BreakingSink: ByteSink {
    struct Broken: Error {}

    private let base: any ByteSink
    private let left: Mutex<Int64>

    init(_ base: any ByteSink, after count: Int64) {
        self.base = base
        left = Mutex(count)
    }

    func begin(_ info: ObjectInfo) throws {
        try base.begin(info)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        let passed = left.withLock { left in
            let passed = min(left, Int64(bytes.count))
            left -= passed
            return Int(passed)
        }
        if passed > 0 { try base.write(UnsafeRawBufferPointer(rebasing: bytes[..<passed]), at: offset) }
        if passed < bytes.count { throw Broken() }
    }
}

import ObjectStore
import Synchronization

/// Collects the body of a symbolic link's object.
final class TargetSink: ByteSink {
    /// Longer than any target may be.
    struct TooLong: Error {}

    /// PATH_MAX of Linux.
    private static let maximumLength = 4096
    private let bytes = Mutex<[UInt8]>([])

    var target: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }

    func begin(_ info: ObjectInfo) throws {
        guard info.size <= Self.maximumLength else { throw TooLong() }
        bytes.withLock { $0 = [] }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        try self.bytes.withLock { collected in
            guard collected.count + bytes.count <= Self.maximumLength else { throw TooLong() }
            collected.append(contentsOf: bytes)
        }
    }
}

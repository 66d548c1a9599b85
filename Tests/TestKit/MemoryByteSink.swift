import ObjectStore
import Synchronization

/// Collects what a download delivers, and refuses bytes out of order or before `begin`.
public final class MemoryByteSink: ByteSink {
    public struct BrokenProtocol: Error {
        public let what: String
    }

    private struct State {
        var info: ObjectInfo?
        var start: Int64?
        var bytes: [UInt8] = []
    }

    private let state = Mutex(State())

    public init() {}

    public var bytes: [UInt8] { state.withLock { $0.bytes } }
    public var text: String { String(decoding: bytes, as: UTF8.self) }
    /// Place in the object of the first byte; nil while there is none.
    public var start: Int64? { state.withLock { $0.start } }
    /// What `begin` was told.
    public var info: ObjectInfo? { state.withLock { $0.info } }

    public func begin(_ info: ObjectInfo) throws {
        try state.withLock { state in
            guard state.info == nil else { throw BrokenProtocol(what: "begin was called twice") }
            state.info = info
        }
    }

    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        let copy = Array(bytes)
        try state.withLock { state in
            guard state.info != nil else { throw BrokenProtocol(what: "bytes came before begin") }
            let start = state.start ?? offset
            guard start + Int64(state.bytes.count) == offset else {
                throw BrokenProtocol(what: "bytes came for \(offset), expected \(start + Int64(state.bytes.count))")
            }
            state.start = start
            state.bytes.append(contentsOf: copy)
        }
    }
}

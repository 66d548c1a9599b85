import Cache
import ObjectStore

/// Puts the received bytes of one request into the data file.
///
/// They come in pieces of 16 KiB and less, each of which would cost two system calls and a record of the range log. So
/// they are gathered up to the end of a block of checksums, which then comes of what is in memory, unless a reader waits for
/// just these.
///
/// SAFETY: called by one thread at a time: the transport's as long as the request runs, then the one that made it.
final class FillSink: ByteSink, @unchecked Sendable {
    /// Who is told of what happens.
    struct Listener: Sendable {
        /// `count` bytes more have arrived: `range` did in all that is not local yet. Returns whether a reader waits for
        /// no byte behind it.
        var arrived: @Sendable (_ range: Range<Int64>, _ count: Int) -> Bool
        /// Bytes became local.
        var filled: @Sendable () -> Void
    }

    private let file: CachedFile
    private let base: RemoteObject
    private let check: @Sendable (ObjectInfo) throws(StoreError) -> Void
    private let listener: Listener
    private var gathered: [UInt8] = []
    /// Of the first gathered byte.
    private var start: Int64 = 0

    /// `check` throws if an answer is not about the bytes that are to be had.
    init(
        file: CachedFile, base: RemoteObject, check: @escaping @Sendable (ObjectInfo) throws(StoreError) -> Void,
        listener: Listener
    ) {
        self.file = file
        self.base = base
        self.check = check
        self.listener = listener
    }

    func begin(_ info: ObjectInfo) throws { try check(info) }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        let end = offset + Int64(bytes.count)
        let lastBlock = max(offset, end / Self.blockSize * Self.blockSize)
        let split = Int(lastBlock - offset)
        try take(UnsafeRawBufferPointer(rebasing: bytes[..<split]), at: offset)
        try take(UnsafeRawBufferPointer(rebasing: bytes[split...]), at: lastBlock)
    }

    private func take(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        guard !bytes.isEmpty else { return }
        let end = offset + Int64(bytes.count)
        if gathered.isEmpty { start = offset }
        let isDue = listener.arrived(start..<end, bytes.count) || end % Self.blockSize == 0
        guard !(isDue && gathered.isEmpty) else { return try fill(bytes, at: offset) }
        if gathered.isEmpty { gathered.reserveCapacity(Int(Self.blockSize)) }
        gathered.append(contentsOf: bytes)
        if isDue { try flush() }
    }

    /// Makes local what was gathered; to be called when no more bytes come.
    func flush() throws {
        guard !gathered.isEmpty else { return }
        defer { gathered.removeAll(keepingCapacity: true) }
        try gathered.withUnsafeBytes { try fill($0, at: start) }
    }

    private static let blockSize = CachedFile.checksumBlockSize

    private func fill(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        try file.fill(bytes, at: offset, of: base.etag)
        listener.filled()
    }
}

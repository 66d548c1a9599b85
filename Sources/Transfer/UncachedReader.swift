import Cache
import ObjectStore
import Platform
import Synchronization

/// Reads bytes of objects that the disk has no room for: into memory, a few chunks of it, which are let go of again.
///
/// What a program changed in the file is on the disk and comes from there. Readers of the same bytes share a request.
///
/// Thread rule: any thread.
public final class UncachedReader: Sendable {
    /// What one request fetches, bytes.
    static let chunkSize: Int64 = 1 << 20
    /// Chunks in memory at once, with those under way: 32 MiB. More readers wait for each other.
    static let chunkLimit = 32
    /// Chunks that are fetched before a reader asks for them.
    static let chunksAhead: Int64 = 4

    private struct Chunk: Hashable {
        var inode: InodeNumber
        var etag: ETag
        var index: Int64
    }

    private struct Entry {
        var task: Task<[UInt8], any Error>
        var isDone = false
        /// Raised with each use of any chunk.
        var lastUse: UInt64
        var lastProgress: Duration
    }

    private struct State {
        var entries: [Chunk: Entry] = [:]
        var uses: UInt64 = 0
    }

    private let store: any ObjectStore
    private let time: any TimeSource
    private let state = Mutex(State())

    init(store: any ObjectStore, time: any TimeSource) {
        self.store = store
        self.time = time
    }

    /// The bytes of a range of a file, fewer at its end. Throws `StoreError`, and errors of the data file.
    public func read(_ file: CachedFile, _ range: Range<Int64>) async throws -> [UInt8] {
        var chunks: [Int64: [UInt8]] = [:]
        while true {
            // Programs may write meanwhile: then less is missing.
            let missing = file.missing(in: range)
            let lacking = Set(missing.flatMap { Self.chunks(of: $0) }).subtracting(chunks.keys).sorted()
            guard let base = file.base, let last = lacking.last else {
                return try assemble(file, range, missing, chunks)
            }
            startAhead(of: last, file, base)
            for index in lacking { chunks[index] = try await bytes(of: index, file, base) }
        }
    }

    /// When bytes of a file last arrived, by the monotonic clock; nil if none are on the way.
    public func lastProgress(of inode: InodeNumber) -> Duration? {
        state.withLock { state in
            state.entries.filter { $0.key.inode == inode && !$0.value.isDone }.map(\.value.lastProgress).max()
        }
    }

    /// A reader of the file is gone.
    public func forget(_ inode: InodeNumber) {
        state.withLock { state in
            if state.entries.isEmpty { return }
            state.entries = state.entries.filter { $0.key.inode != inode || !$0.value.isDone }
        }
    }

    /// Numbers of the chunks that a range touches.
    private static func chunks(of range: Range<Int64>) -> ClosedRange<Int64> {
        range.lowerBound / chunkSize...(range.upperBound - 1) / chunkSize
    }

    private func assemble(
        _ file: CachedFile, _ range: Range<Int64>, _ missing: [Range<Int64>], _ chunks: [Int64: [UInt8]]
    ) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: Int(range.length)) { buffer, filled in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            filled = try file.read(into: bytes, at: range.lowerBound)
            let present = range.lowerBound..<range.lowerBound + Int64(filled)
            for gap in missing {
                for index in Self.chunks(of: gap) {
                    guard let chunk = chunks[index] else { continue }
                    let start = index * Self.chunkSize
                    let part = gap.clamped(to: present).clamped(to: start..<start + Int64(chunk.count))
                    guard !part.isEmpty else { continue }
                    UnsafeMutableRawBufferPointer(rebasing: bytes[Int(part.lowerBound - range.lowerBound)...])
                        .copyBytes(from: chunk[Int(part.lowerBound - start)..<Int(part.upperBound - start)])
                }
            }
        }
    }
}

// MARK: Chunks

extension UncachedReader {
    private func bytes(of index: Int64, _ file: CachedFile, _ base: RemoteObject) async throws -> [UInt8] {
        while true {
            if let task = task(for: index, file, base) { return try await task.value }
            // Some chunk that is under way makes room when it has come.
            let oldest = state.withLock { $0.entries.values.min { $0.lastUse < $1.lastUse }?.task }
            _ = await oldest?.result
        }
    }

    private func startAhead(of index: Int64, _ file: CachedFile, _ base: RemoteObject) {
        let end = (base.size - 1) / Self.chunkSize
        guard index < end else { return }
        for next in index + 1...min(end, index + Self.chunksAhead) { _ = task(for: next, file, base) }
    }

    /// Nil if all chunks in memory are under way.
    private func task(for index: Int64, _ file: CachedFile, _ base: RemoteObject) -> Task<[UInt8], any Error>? {
        let chunk = Chunk(inode: file.inode, etag: base.etag, index: index)
        let now = time.monotonic
        return state.withLock { state in
            state.uses += 1
            if let entry = state.entries[chunk] {
                state.entries[chunk]?.lastUse = state.uses
                return entry.task
            }
            guard Self.makeRoom(&state) else { return nil }
            let task = Task { [self] in try await fetch(chunk, file, base) }
            state.entries[chunk] = Entry(task: task, lastUse: state.uses, lastProgress: now)
            return task
        }
    }

    private static func makeRoom(_ state: inout State) -> Bool {
        guard state.entries.count >= chunkLimit else { return true }
        let done = state.entries.filter(\.value.isDone)
        guard let oldest = done.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return false }
        state.entries[oldest.key] = nil
        return true
    }

    private func fetch(_ chunk: Chunk, _ file: CachedFile, _ base: RemoteObject) async throws -> [UInt8] {
        do {
            let bytes = try await get(chunk, file, base)
            state.withLock { $0.entries[chunk]?.isDone = true }
            return bytes
        } catch {
            state.withLock { $0.entries[chunk] = nil }
            throw error
        }
    }

    private func get(_ chunk: Chunk, _ file: CachedFile, _ base: RemoteObject) async throws -> [UInt8] {
        var base = base
        while true {
            let start = chunk.index * Self.chunkSize
            let sink = ChunkSink(start: start, count: Int(min(Self.chunkSize, base.size - start))) { [self] in
                progress(of: chunk)
            }
            do {
                _ = try await store.get(
                    base.key, range: start..<start + Int64(sink.count), ifMatch: base.etag, into: sink)
                return sink.bytes
            } catch {
                guard let now = file.base(after: error, of: base) else { throw error }
                base = now
            }
        }
    }

    private func progress(of chunk: Chunk) {
        let now = time.monotonic
        state.withLock { $0.entries[chunk]?.lastProgress = now }
    }
}

/// Keeps the received bytes of one chunk in memory, each where it belongs: a transfer may start anew.
private final class ChunkSink: ByteSink {
    let count: Int
    private let start: Int64
    private let progress: @Sendable () -> Void
    private let received: Mutex<[UInt8]>

    init(start: Int64, count: Int, progress: @escaping @Sendable () -> Void) {
        self.start = start
        self.count = count
        self.progress = progress
        received = Mutex([UInt8](repeating: 0, count: count))
    }

    var bytes: [UInt8] { received.withLock { $0 } }

    func begin(_ info: ObjectInfo) {}

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        let place = Int(offset - start)
        guard place >= 0, place + bytes.count <= count else {
            throw StoreError(.badAnswer, message: "bytes outside of the range that was asked for")
        }
        received.withLock { $0.replaceSubrange(place..<place + bytes.count, with: bytes) }
        progress()
    }
}

extension CachedFile {
    /// What to ask for after a request for an object failed: a rename may have moved it since. Nil if that is not why.
    func base(after error: StoreError, of base: RemoteObject) -> RemoteObject? {
        guard error.isOutdated, let now = self.base, now != base else { return nil }
        return now
    }
}

import Cache
import ObjectStore
import Synchronization
import TestKit
import Testing

@testable import Transfer

/// In which order and pieces bytes come, and what is not fetched.
@Suite struct FetchOrderTests {
    private typealias Machine = FetcherTests.Machine

    /// Gives bodies in pieces, as libcurl does, and no more of each than it is let.
    private final class SlowStore: ForwardingStore {
        let base: any ObjectStore
        /// Bytes of a body that come at once.
        let limit = Atomic(Int64.max)

        private let pieceSize: Int

        init(_ base: any ObjectStore, pieceSize: Int = 16 << 10) {
            self.base = base
            self.pieceSize = pieceSize
        }

        func get(
            _ key: ObjectKey, range: Range<Int64>?, ifMatch: ETag?, into sink: any ByteSink
        ) async throws(StoreError) -> ObjectInfo {
            let whole = MemoryByteSink()
            let info = try await base.get(key, range: range, ifMatch: ifMatch, into: whole)
            do {
                try sink.begin(info)
                let (start, bytes) = (range?.lowerBound ?? 0, whole.bytes)
                for piece in stride(from: 0, to: bytes.count, by: pieceSize) {
                    let end = min(bytes.count, piece + pieceSize)
                    try await waitUntil { limit.load(ordering: .relaxed) >= end }
                    try bytes[piece..<end].withUnsafeBytes { try sink.write($0, at: start + Int64(piece)) }
                }
            } catch {
                throw error as? StoreError ?? StoreError(.localFault, message: "\(error)")
            }
            return info
        }
    }

    private let mebibyte: Int64 = 1 << 20
    private let bucket = MemoryStore()
    private let store: FaultyStore
    private let content: [UInt8]

    init() {
        store = FaultyStore(bucket)
        var random = SeededRandom(seed: 7)
        content = random.bytes(24 << 20)
    }

    private func open(_ machine: Machine) throws -> CachedFile {
        let etag = bucket.set(ObjectKey("a"), content)
        return try machine.cache.acquire(machine.insert("a", etag, size: Int64(content.count)))
    }

    /// Counts answers.
    private final class Answers: Sendable {
        let count = Atomic(0)
        var completion: Fetcher.Completion {
            { [self] error in if error == nil { count.add(1, ordering: .relaxed) } }
        }
        func have(_ number: Int) async -> Bool { await eventually { count.load(ordering: .relaxed) >= number } }
    }

    @Test func aReaderIsAnsweredWhenItsBytesAreThereThoughMoreIsOnTheWay() async throws {
        let slow = SlowStore(bucket)
        let machine = try Machine(slow)
        let file = try open(machine)
        slow.limit.store(32 << 10, ordering: .relaxed)
        let answers = Answers()
        machine.fetcher.read(file, 20_000..<24_000, wanted: 0..<mebibyte, then: answers.completion)
        #expect(await answers.have(1))
        #expect(!file.missing(in: 65_536..<66_560).isEmpty)
        slow.limit.store(.max, ordering: .relaxed)
        #expect(await eventually { file.missing(in: 0..<mebibyte).isEmpty })
    }

    @Test(arguments: [16 << 10, 10_000])
    func whatNobodyWaitsForIsWrittenABlockAtATimeAndIsRight(pieceSize: Int) async throws {
        let slow = SlowStore(bucket, pieceSize: pieceSize)
        let machine = try Machine(slow)
        let file = try open(machine)
        slow.limit.store(300 << 10, ordering: .relaxed)
        machine.fetcher.read(file, 0..<mebibyte, wanted: 0..<mebibyte) { _ in }
        #expect(await eventually { file.missing(in: 0..<262_144).isEmpty })
        #expect(file.missing(in: 262_144..<278_528) == [262_144..<278_528])
        slow.limit.store(.max, ordering: .relaxed)
        #expect(await eventually { file.missing(in: 0..<mebibyte).isEmpty })
        var bytes = [UInt8](repeating: 0, count: Int(mebibyte))
        let count = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
        let expected = Array(content.prefix(Int(mebibyte)))
        #expect(count == expected.count)
        #expect(bytes == expected)
    }

    @Test func whatCameBeforeABreakIsKept() async throws {
        let machine = try Machine(store)
        let file = try open(machine)
        store.script(.get, .breakOff(after: 100_000, StoreError(.unreachable, message: "broken")))
        let error = await withCheckedContinuation { done in
            machine.fetcher.read(file, 0..<200_000, wanted: 0..<200_000) { done.resume(returning: $0) }
        }
        #expect(error?.kind == .unreachable)
        #expect(file.missing(in: 0..<200_000) == [100_000..<200_000])
    }

    @Test func whoBeginsToWaitForWhatIsReadAheadIsServedBeforeTheRest() async throws {
        let machine = try Machine(store, concurrency: 1)
        let file = try open(machine)
        store.script(.get, .delay(.milliseconds(300)))
        let (chunk, answers) = (FetchPlan.chunkSize, Answers())
        machine.fetcher.read(file, 0..<1, wanted: 0..<3 * chunk, then: answers.completion)
        machine.fetcher.read(file, 2 * chunk..<2 * chunk + 1, wanted: 2 * chunk..<3 * chunk, then: answers.completion)
        #expect(await answers.have(2))
        #expect(await eventually { store.calls(.get) == 3 })
        let starts: [Int64?] = [0, 2 * chunk, chunk]
        #expect(store.gets.map(\.range?.lowerBound) == starts)
    }

    @Test func whatAReaderThatWentElsewhereWantedAheadIsNotFetched() async throws {
        let machine = try Machine(store, concurrency: 1)
        let file = try open(machine)
        store.script(.get, .delay(.milliseconds(300)))
        let (chunk, answers) = (FetchPlan.chunkSize, Answers())
        machine.fetcher.read(file, 0..<1, wanted: 0..<3 * chunk, then: answers.completion)
        machine.fetcher.dropReadAhead(of: file.inode)
        #expect(await answers.have(1))
        machine.fetcher.read(file, chunk..<chunk + 1, wanted: chunk..<chunk + 1, then: answers.completion)
        #expect(await answers.have(2))
        let ranges: [Range<Int64>?] = [0..<chunk, chunk..<chunk + 1]
        #expect(store.gets.map(\.range) == ranges)
        machine.cache.release(file)
        #expect(
            try await eventually {
                try machine.cache.flush()
                return machine.cache.openFile(file.inode) == nil
            })
    }
}

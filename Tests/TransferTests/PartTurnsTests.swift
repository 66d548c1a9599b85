import ObjectStore
import Synchronization
import TestKit
import Testing

@testable import Transfer

/// Who sends a part when.
struct PartTurnsTests {
    /// A number that tasks share.
    private final class Count: Sendable {
        let value: Atomic<Int>

        init(_ value: Int) { self.value = Atomic(value) }
    }

    private func turns(_ count: Count, most: Int = 8) -> PartTurns {
        PartTurns(most: most) { count.value.load(ordering: .relaxed) }
    }

    @Test func aPartThatIsMostlySentMakesRoomForAnother() async {
        let turns = turns(Count(2))
        #expect(await turns.begin(1))
        #expect(await turns.begin(2))
        async let third = turns.begin(3)
        turns.passOn(1)
        #expect(await third)
        // Told again, and at its end: nothing that it has not given already.
        turns.passOn(1)
        turns.end(1, hasFailed: false)
        async let fourth = turns.begin(4)
        turns.end(2, hasFailed: false)
        #expect(await fourth)
    }

    @Test func noMoreAreUnderWayThanAreAllowed() async {
        let turns = turns(Count(2), most: 2)
        let begun = Count(0)
        for part in 1...2 { #expect(await turns.begin(part)) }
        for part in 1...2 { turns.passOn(part) }
        async let third: Void = { if await turns.begin(3) { begun.value.store(3, ordering: .relaxed) } }()
        try? await Task.sleep(for: .milliseconds(20))
        let tooEarly = begun.value.load(ordering: .relaxed)
        #expect(tooEarly == 0)
        turns.end(2, hasFailed: false)
        await third
        let part = begun.value.load(ordering: .relaxed)
        #expect(part == 3)
    }

    @Test func aChangedCountHoldsForTheNext() async {
        let count = Count(1)
        let turns = turns(count)
        #expect(await turns.begin(1))
        count.value.store(3, ordering: .relaxed)
        #expect(await turns.begin(2))
        #expect(await turns.begin(3))
    }

    @Test func afterAFailureNoneBegins() async {
        let turns = turns(Count(1))
        #expect(await turns.begin(1))
        async let second = turns.begin(2)
        turns.end(1, hasFailed: true)
        #expect(await !second)
        #expect(await !turns.begin(3))
    }

    /// Six parts, of which four have a turn at first, on a store that answers none before it has most of the bytes of all.
    @Test func theNextPartsAreSentBeforeTheStoreAnswersTheFirst() async throws {
        let time = ManualTime()
        let bucket = MemoryStore(multipartLimits: .small)
        let machine = try LocalMachine(
            store: SlowlyAnsweringStore(base: bucket, parts: 6), time: time, partConcurrency: 8)
        try machine.open("file")
        try machine.write((0..<48).map { UInt8($0) }, at: 0, through: "file")
        machine.close("file")
        #expect(try await machine.drain())
        #expect(bucket.tree == machine.expectedObjects)
    }
}

extension ByteSource {
    /// As stores do that send a checksum ahead.
    func readTwice() throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(count), alignment: 1)
        defer { buffer.deallocate() }
        for _ in 0..<2 { try read(into: buffer, at: 0) }
    }
}

/// Answers when it has read so many parts.
private final class SlowlyAnsweringStore: ForwardingStore {
    let base: any ObjectStore
    private let parts: Int
    private let readings = Atomic<Int>(0)

    init(base: MemoryStore, parts: Int) {
        self.base = base
        self.parts = parts
    }

    func uploadPart(
        _ key: ObjectKey, upload: UploadID, number: Int, body: any ByteSource
    ) async throws(StoreError) -> UploadedPart {
        do {
            try body.readTwice()
            readings.add(1, ordering: .relaxed)
            try await waitUntil { readings.load(ordering: .relaxed) >= parts }
        } catch {
            throw StoreError(.localFault, message: "\(error)")
        }
        return try await base.uploadPart(key, upload: upload, number: number, body: body)
    }
}

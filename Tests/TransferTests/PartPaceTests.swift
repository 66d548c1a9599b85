import ObjectStore
import Synchronization
import TestKit
import Testing

@testable import Transfer

/// How many parts are under way at once.
struct PartPaceTests {
    /// The counts after parts that took so many milliseconds.
    private func counts(_ most: Int, _ milliseconds: [Int]) -> [Int] {
        var pace = PartPace(most: most)
        return milliseconds.map { duration in
            pace.sent(in: .milliseconds(duration))
            return pace.count
        }
    }

    @Test func quickPartsBringMoreAndSlowOnesFewer() {
        #expect(PartPace(most: 8).count == 4)
        #expect(counts(8, [300, 300, 2_000, 300]) == [5, 6, 6, 7])
        #expect(counts(8, [10, 10, 10, 10, 10, 5_000, 5_000, 5_000]) == [5, 6, 7, 8, 8, 4, 2, 2])
    }

    @Test func thereAreNeverMoreThanWereAllowed() {
        #expect(PartPace(most: 1).count == 1)
        #expect(counts(1, [10, 10, 5_000]) == [1, 1, 1])
        #expect(counts(3, [10, 5_000, 5_000]) == [3, 2, 2])
    }

    @Test(arguments: [(Duration.zero, 5...8), (.seconds(30), 1...4)])
    func aQuickLinkHasMorePartsAtOnceThanASlowOne(_ duration: Duration, _ expected: ClosedRange<Int>) async throws {
        let time = ManualTime()
        let bucket = MemoryStore(multipartLimits: .small)
        let store = LastingStore(base: bucket, time: time, duration: duration)
        let machine = try LocalMachine(store: store, time: time, partConcurrency: 8)
        try machine.open("file")
        try machine.write((0..<400).map { UInt8(truncatingIfNeeded: $0) }, at: 0, through: "file")
        machine.close("file")
        #expect(try await machine.drain())
        #expect(bucket.tree == machine.expectedObjects)
        #expect(expected.contains(store.most.load(ordering: .relaxed)))
    }
}

/// A store on whose clock each part takes a while before it is sent, and which counts how many are under way.
private final class LastingStore: ForwardingStore {
    let base: any ObjectStore
    private let time: ManualTime
    private let duration: Duration
    private let underWay = Atomic<Int>(0)
    let most = Atomic<Int>(0)

    init(base: MemoryStore, time: ManualTime, duration: Duration) {
        self.base = base
        self.time = time
        self.duration = duration
    }

    func uploadPart(
        _ key: ObjectKey, upload: UploadID, number: Int, body: any ByteSource
    ) async throws(StoreError) -> UploadedPart {
        most.max(underWay.add(1, ordering: .relaxed).newValue, ordering: .relaxed)
        defer { underWay.subtract(1, ordering: .relaxed) }
        // For others to begin meanwhile.
        try? await Task.sleep(for: .milliseconds(10))
        time.advance(by: duration)
        do { try body.readTwice() } catch { throw StoreError(.localFault, message: "\(error)") }
        try? await Task.sleep(for: .milliseconds(10))
        return try await base.uploadPart(key, upload: upload, number: number, body: body)
    }
}

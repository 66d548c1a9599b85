import Cache
import Logging
import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing

@testable import Transfer

/// How many files are sent at once, by their size.
@Suite struct LargeTransfersTests {
    /// What tasks tell each other.
    private final class Board: Sendable {
        let working = Atomic(0)
        let most = Atomic(0)
        let isOpen = Atomic(false)
    }

    @Test func noMoreThanSoManyWorkAtOnce() async throws {
        let (turns, board) = (LargeTransfers(atOnce: 2), Board())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<20 {
                group.addTask {
                    try await turns.withTurn {
                        board.most.max(board.working.add(1, ordering: .relaxed).newValue, ordering: .relaxed)
                        try await Task.sleep(for: .milliseconds(1))
                        board.working.subtract(1, ordering: .relaxed)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(board.most.load(ordering: .relaxed) == 2)
    }

    @Test func whoIsCancelledWhileHeWaitsDoesNotWorkAndKeepsNobodyOut() async throws {
        let (turns, board) = (LargeTransfers(atOnce: 1), Board())
        let first = Task {
            try await turns.withTurn {
                board.working.add(1, ordering: .relaxed)
                try await waitUntil { board.isOpen.load(ordering: .relaxed) }
            }
        }
        try await waitUntil { board.working.load(ordering: .relaxed) == 1 }
        let second = Task { try await turns.withTurn { _ = board.working.add(1, ordering: .relaxed) } }
        second.cancel()
        board.isOpen.store(true, ordering: .relaxed)
        await #expect(throws: CancellationError.self) { try await second.value }
        try await first.value
        #expect(board.working.load(ordering: .relaxed) == 1)
        #expect(try await turns.withTurn { true })
    }

    @Test func smallFilesDoNotWaitForLargeOnes() async throws {
        let bucket = MemoryStore()
        let store = HeldStore(bucket)
        let time = ManualTime()
        let machine = try LocalMachine(store: store, time: time)
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let link = LinkMonitor(time: time, logger: logger)
        var configuration = WritebackConfiguration(host: "robot", defaults: LocalMachine.defaults)
        configuration.concurrency = 2
        let writeback = Writeback(
            store: ObservedStore(store, link: link), cache: machine.cache, link: link, configuration: configuration,
            time: time, logger: logger, materialize: { _, _ in }, onChange: { _ in })
        let large = String(repeating: "x", count: Int(LargeTransfers.smallSize) + 1)
        for number in 0..<5 { try machine.put("large-\(number)", large) }
        for number in 0..<20 { try machine.put("small-\(number)", "x") }
        try writeback.start()
        try await waitUntil { bucket.keys.count == 20 && store.held.load(ordering: .relaxed) == 2 }
        #expect(bucket.keys.allSatisfy { $0.string.hasPrefix("small-") })
        // The others wait for their turn, and are not said to be on their way.
        let numbers = try (0..<5).compactMap { try machine.inode("large-\($0)")?.number }
        #expect(numbers.count == 5 && numbers.filter { writeback.isUnderWay($0) }.count == 2)
        store.isHolding.store(false, ordering: .relaxed)
        try await waitUntil { bucket.keys.count == 25 }
        #expect(store.most.load(ordering: .relaxed) == 2)
        await writeback.stop()
    }
}

/// A store that takes large objects no sooner than it is told to.
private final class HeldStore: ForwardingStore {
    let bucket: MemoryStore
    let isHolding = Atomic(true)
    let held = Atomic(0)
    let most = Atomic(0)

    init(_ bucket: MemoryStore) { self.bucket = bucket }

    var base: any ObjectStore { bucket }

    func put(
        _ key: ObjectKey, body: any ByteSource, metadata: [String: String], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        guard body.count > LargeTransfers.smallSize else {
            return try await base.put(key, body: body, metadata: metadata, condition: condition)
        }
        most.max(held.add(1, ordering: .relaxed).newValue, ordering: .relaxed)
        defer { held.subtract(1, ordering: .relaxed) }
        guard await eventually({ !isHolding.load(ordering: .relaxed) }) else {
            throw StoreError(.unreachable, message: "nobody let it go")
        }
        return try await base.put(key, body: body, metadata: metadata, condition: condition)
    }
}

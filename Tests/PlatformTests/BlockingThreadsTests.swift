import Dispatch
import Synchronization
import TestKit
import Testing

@testable import Platform

struct BlockingThreadsTests {
    private struct Seen {
        var order: [Int] = []
        var running = 0
        var most = 0
    }

    private final class Record: Sendable {
        let seen = Mutex(Seen())
        let gate = DispatchSemaphore(value: 0)

        /// Runs until the gate is opened once more.
        func work(_ number: Int) {
            seen.withLock { seen in
                seen.order.append(number)
                seen.running += 1
                seen.most = max(seen.most, seen.running)
            }
            gate.wait()
            seen.withLock { $0.running -= 1 }
        }

        var order: [Int] { seen.withLock { $0.order } }
    }

    @Test func asManyRunAtOnceAsThereAreThreadsAndTheRestInOrder() async throws {
        let threads = BlockingThreads(label: "test", count: 3)
        let record = Record()
        for number in 0..<10 { threads.run { record.work(number) } }
        for started in 3...10 {
            try await waitUntil { record.order.count == started }
            // Nothing more starts before one ends.
            try await Task.sleep(for: .milliseconds(20))
            #expect(record.order.count == started)
            record.gate.signal()
        }
        for _ in 0..<2 { record.gate.signal() }
        try await waitUntil { record.seen.withLock { $0.running } == 0 }
        #expect(record.seen.withLock { $0.most } == 3)
        #expect(Set(record.order.prefix(3)) == [0, 1, 2])
        #expect(Array(record.order.dropFirst(3)) == Array(3..<10))
    }

    @Test func tasksGoOnWhileAllThreadsWait() async throws {
        let threads = BlockingThreads(label: "test", count: 16)
        let record = Record()
        for number in 0..<16 { threads.run { record.work(number) } }
        try await waitUntil { record.order.count == 16 }
        let sum = await withTaskGroup { group in
            for number in 0..<100 { group.addTask { number } }
            return await group.reduce(0, +)
        }
        #expect(sum == 4950)
        for _ in 0..<16 { record.gate.signal() }
        try await waitUntil { record.seen.withLock { $0.running } == 0 }
    }
}

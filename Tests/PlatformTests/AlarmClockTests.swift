import Synchronization
import TestKit
import Testing

@testable import Platform

struct AlarmClockTests {
    private let time = ManualTime()
    private let clock: AlarmClock
    private let rung = Rung()

    /// What has rung, in order.
    private final class Rung: Sendable {
        private let names = Mutex<[String]>([])
        var all: [String] { names.withLock { $0 } }
        func add(_ name: String) { names.withLock { $0.append(name) } }
    }

    init() { clock = AlarmClock(time: time) }

    private func set(_ name: String, after seconds: Int) -> @Sendable () -> Void {
        clock.after(.seconds(seconds)) { [rung] in rung.add(name) }
    }

    /// Waits until as many sleep as there should, then lets time pass.
    private func pass(_ seconds: Int, whileAsleep sleepers: Int = 1) async throws {
        try await waitUntil { time.sleeperCount == sleepers }
        time.advance(by: .seconds(seconds))
    }

    @Test func eachAlarmRingsAtItsMoment() async throws {
        for (name, seconds) in [("c", 6), ("a", 2), ("b", 4)] { _ = set(name, after: seconds) }
        try await pass(1)
        for (expected, seconds) in [(["a"], 1), (["a", "b"], 2), (["a", "b", "c"], 2)] {
            try await pass(seconds)
            try await waitUntil { rung.all == expected }
        }
        try await waitUntil { time.sleeperCount == 0 }
    }

    @Test func whatIsDueAtOnceRingsInTheOrderOfTheMoments() async throws {
        for (name, seconds) in [("a", 1), ("b", 2), ("c", 3)] { _ = set(name, after: seconds) }
        try await pass(10)
        try await waitUntil { rung.all.count == 3 }
        #expect(rung.all == ["a", "b", "c"])
    }

    @Test func whatWasCalledOffDoesNotRingAndWakesNobody() async throws {
        let callOff = set("a", after: 2)
        _ = set("b", after: 5)
        try await waitUntil { time.sleeperCount == 1 }
        callOff()
        callOff()
        #expect(time.sleeperCount == 1)
        try await pass(2)
        try await pass(2)
        #expect(rung.all.isEmpty)
        try await pass(1)
        try await waitUntil { rung.all == ["b"] }
    }

    @Test func afterTheLastOneNobodySleepsUntilThereIsAnother() async throws {
        let callOff = set("a", after: 2)
        try await waitUntil { time.sleeperCount == 1 }
        callOff()
        try await pass(2)
        try await waitUntil { time.sleeperCount == 0 }
        _ = set("b", after: 2)
        try await pass(2)
        try await waitUntil { rung.all == ["b"] }
    }

    @Test func anActionMaySetTheNextAlarm() async throws {
        _ = clock.after(.seconds(1)) { [clock, rung] in
            rung.add("first")
            _ = clock.after(.seconds(1)) { rung.add("second") }
        }
        try await pass(1)
        try await waitUntil { rung.all == ["first"] }
        try await pass(1)
        try await waitUntil { rung.all == ["first", "second"] }
    }

    @Test func alarmsFromManyThreadsAllRing() async throws {
        await withTaskGroup { group in
            for index in 0..<200 {
                group.addTask {
                    let callOff = self.set("\(index)", after: 1 + index % 7)
                    if index % 2 == 1 { callOff() }
                }
            }
        }
        try await waitUntil {
            time.advance(by: .seconds(1))
            return rung.all.count == 100
        }
        #expect(Set(rung.all) == Set(stride(from: 0, to: 200, by: 2).map { "\($0)" }))
    }
}

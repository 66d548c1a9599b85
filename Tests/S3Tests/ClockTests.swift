import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing

@testable import S3

/// A wall clock that is wrong, and jumps.
struct ClockTests {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    private static func http(_ time: Timestamp) -> String {
        let time = CalendarTime(time)
        let two = { (number: Int) in (number < 10 ? "0" : "") + String(number) }
        return "Mon, \(two(time.day)) \(months[time.month - 1]) \(time.year) "
            + "\(two(time.hour)):\(two(time.minute)):\(two(time.second)) GMT"
    }

    private static func signedAt(_ request: FaultServer.Request) -> Timestamp? {
        let text = Array(request.headers["x-amz-date"] ?? "")
        guard text.count == 16 else { return nil }
        let part = { (range: Range<Int>) in String(text[range]) }
        let iso = "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))T\(part(9..<11)):\(part(11..<13)):\(part(13..<15))Z"
        return CalendarTime(iso8601: iso.utf8)?.timestamp
    }

    /// A store that refuses what is signed more than 15 minutes from its own clock, which goes with `time`'s monotonic
    /// one and shows `start` at its beginning. To HEAD it tells no reason, as S3.
    private static func strict(_ time: ManualTime, start: Timestamp) -> Script {
        Script { _, request in
            let now = Timestamp(seconds: start.seconds + time.monotonic.components.seconds)
            let skew = signedAt(request).map { abs($0.seconds - now.seconds) } ?? .max
            let date = ["Date": http(now)]
            guard skew > 900 else { return FaultServer.Reply(status: 204, headers: date) }
            var reply = FaultServer.Reply.error("RequestTimeTooSkewed", 403)
            reply.headers = date
            return reply
        }
    }

    /// Turned by the test, read by the server.
    private final class Switch: Sendable {
        private let value = Atomic<Bool>(false)
        var isOn: Bool { value.load(ordering: .acquiring) }
        func turnOn() { value.store(true, ordering: .releasing) }
    }

    private let start = Timestamp(seconds: 1_750_000_000)
    private func delete(_ store: S3Store) async throws { try await store.delete(ObjectKey("k"), ifMatch: nil) }

    @Test(arguments: [0, 946_080_000, 4_000_000_000] as [Int64])
    func aClockThatIsWrongByYearsCostsOneRefusal(_ wall: Int64) async throws {
        let time = ManualTime(wall: Timestamp(seconds: wall))
        try await withStore(Self.strict(time, start: start), time: time) { store, server in
            for _ in 0..<3 { try await delete(store) }
            #expect(server.requests.count == 4)
        }
    }

    @Test func jumpsOfTheClockDoNotMatterOnceTheStoresIsKnown() async throws {
        let time = ManualTime(wall: Timestamp(seconds: 0))
        try await withStore(Self.strict(time, start: start), time: time) { store, server in
            try await delete(store)
            #expect(server.requests.count == 2)
            for wall in [start.seconds, 0, 3_000_000_000, start.seconds + 7200] {
                time.setWall(Timestamp(seconds: wall))
                time.advance(by: .seconds(3600))
                try await delete(store)
            }
            #expect(server.requests.count == 6)
        }
    }

    @Test func aClockThatGoesWrongLaterIsNoticed() async throws {
        let time = ManualTime(wall: start)
        try await withStore(Self.strict(time, start: start), time: time) { store, server in
            try await delete(store)
            #expect(server.requests.count == 1)
            time.setWall(Timestamp(seconds: 86_400))
            try await delete(store)
            #expect(server.requests.count == 3)
            time.advance(by: .seconds(86_400 * 30))
            try await delete(store)
            #expect(server.requests.count == 4)
        }
    }

    @Test func aStoreWhoseClockIsSetRightIsFollowed() async throws {
        let time = ManualTime(wall: start)
        let early = Self.strict(time, start: Timestamp(seconds: 1_300_000_000))
        let late = Self.strict(time, start: start)
        let isRight = Switch()
        let script = Script { number, request in
            (isRight.isOn ? late : early).answer(number, request)
        }
        try await withStore(script, time: time) { store, server in
            try await delete(store)
            isRight.turnOn()
            try await delete(store)
            #expect(server.requests.count == 4)
        }
    }

    /// Wrong by its own date: whatever is tried is refused. It must end, and not spoil what is signed for later.
    @Test func aStoreThatRefusesItsOwnTimeIsNotAskedForEver() async throws {
        let time = ManualTime(wall: start)
        let isSane = Switch()
        let strict = Self.strict(time, start: start)
        let script = Script { number, request in
            if isSane.isOn { return strict.answer(number, request) }
            var reply = FaultServer.Reply.error("RequestTimeTooSkewed", 403)
            reply.headers["Date"] = "Mon, 02 Jan 2012 00:00:00 GMT"
            return reply
        }
        try await withStore(script, time: time) { store, server in
            #expect(await kind { try await delete(store) } == .clockSkewed)
            #expect(server.requests.count == 3)
            isSane.turnOn()
            try await delete(store)
            #expect(server.requests.count == 4)
        }
    }

    @Test(arguments: ["Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 01 Jan 9999 00:00:00 GMT", "now", ""])
    func aDateThatIsNoneIsNotBelieved(_ date: String) async throws {
        let script = Script { _, _ in
            var reply = FaultServer.Reply.error("RequestTimeTooSkewed", 403)
            reply.headers["Date"] = date
            return reply
        }
        try await withStore(script, time: ManualTime(wall: start)) { store, server in
            #expect(await kind { try await delete(store) } == .clockSkewed)
            #expect(server.requests.count == 1)
        }
    }
}

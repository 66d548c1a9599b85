import Logging
import ObjectStore
import TestKit
import Testing

@testable import Transfer

/// How soon a link is known to be gone, and to be back.
@Suite struct LinkMonitorTests {
    let time = ManualTime()
    let faults: FaultyStore
    let link: LinkMonitor
    let store: ObservedStore

    init() {
        faults = FaultyStore(MemoryStore())
        link = LinkMonitor(
            time: time, silence: .seconds(3), logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        store = ObservedStore(faults, link: link)
        link.start(probing: faults)
    }

    /// Turns the clock until `condition` holds; the time that this took. Bounds on it are wide: on a busy machine the
    /// clock goes on while tasks wait for their turn.
    @discardableResult
    private func turn(by step: Duration = .milliseconds(50), until condition: () -> Bool) async throws -> Duration {
        let start = time.monotonic
        for _ in 0..<2000 where !condition() {
            try await Task.sleep(for: .milliseconds(5))
            if condition() { break }
            time.advance(by: step)
        }
        try #require(condition())
        return time.monotonic - start
    }

    private func look() async -> StoreError.Kind? {
        do { _ = try await store.head(ObjectKey("file")) } catch { return error.kind }
        return nil
    }

    @Test func oneFailureIsAskedAboutAtOnce() async throws {
        faults.isOffline = true
        #expect(await look() == .unreachable)
        let took = try await turn { link.isOffline }
        #expect(took < .seconds(10))
        #expect(link.reason == StoreError.faulty.message)
        link.stop()
    }

    @Test func oneFailureOfALinkThatLivesChangesNothing() async throws {
        faults.script(.head, .unreachable)
        #expect(await look() == .unreachable)
        try await turn { faults.calls(.head) == 2 }
        try await turn(by: .milliseconds(500)) { time.monotonic > .seconds(30) }
        #expect(link.condition == .online && link.reason == nil && faults.calls(.head) == 2)
        link.stop()
    }

    @Test(arguments: [false, true])
    func theReturnIsNoticedSoonHoweverLongTheLinkWasGone(afterSilence: Bool) async throws {
        link.assumeOffline(.faulty)
        if afterSilence { faults.isSilent = true } else { faults.isOffline = true }
        try await turn(by: .milliseconds(250)) { time.monotonic > .seconds(30) }
        #expect(link.isOffline)
        (faults.isSilent, faults.isOffline) = (false, false)
        #expect(try await turn { !link.isOffline } < .seconds(10))
        link.stop()
    }

    @Test func aDeadLinkIsAskedABoundedNumberOfTimes() async throws {
        link.assumeOffline(.faulty)
        faults.isSilent = true
        let took = try await turn(by: .milliseconds(250)) { time.monotonic > .seconds(30) }
        #expect(faults.calls(.head) <= Int(took / .milliseconds(450)) + 2)
        link.stop()
    }

    @Test func aRequestWithoutASignOfLifeIsGivenUpWhenProbesFindNoWayEither() async throws {
        faults.isSilent = true
        let request = Task { await look() }
        let took = try await turn { link.isOffline }
        #expect(took >= .seconds(3) && took < .seconds(20))
        try await turn { faults.calls(.head) > 5 && time.monotonic > took + .seconds(5) }
        #expect(await request.value == .unreachable)
        link.stop()
    }

    @Test func aRequestThatTakesLongIsLeftAloneWhileProbesPass() async throws {
        faults.script(.head, .swallow)
        let request = Task { await look() }
        try await turn(by: .milliseconds(250)) { time.monotonic > .seconds(30) }
        #expect(link.condition == .online && faults.calls(.head) > 5)
        request.cancel()
        #expect(await request.value == .cancelled)
        link.stop()
    }

    @Test(arguments: [StoreError.Kind.noCredentials, .badCredentials])
    func credentialsThatAreMissingOrRefusedAreWaitedForAndAskedAboutNowAndThen(_ kind: StoreError.Kind) async throws {
        faults.refusal = StoreError(kind, code: "Why", message: "a reason")
        #expect(await look() == kind)
        #expect(link.condition == .offline && link.reason == "a reason [Why]")
        let took = try await turn(by: .milliseconds(250)) { time.monotonic > .seconds(60) }
        #expect(faults.calls(.list) > 2 && faults.calls(.list) <= Int(took / .seconds(2)) + 2)
        #expect(link.condition == .offline && link.reason == "a reason [Why]")
        faults.refusal = nil
        try await turn { !link.isOffline }
        #expect(link.reason == nil)
        link.stop()
    }
}

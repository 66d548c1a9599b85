import ObjectStore
import Platform
import TestKit
import Testing

@testable import S3

struct RefreshPlanTests {
    private static let start = Timestamp(seconds: 1_750_000_000)
    private static let failure = StoreError(.noCredentials, message: "the service is away")

    private static func keys(_ id: String = "K", livesFor life: Duration? = nil) -> Credentials {
        Credentials(accessKeyID: id, secretAccessKey: "s", expiration: life.map { start + $0 })
    }

    /// Both clocks run alike from `start`.
    private struct Run {
        var plan = RefreshPlan()
        var random = SeededRandom(seed: 7)

        mutating func answer(_ result: Result<Credentials?, StoreError>, at now: Duration) {
            plan.answered(result, now: now, time: start + now, using: &random)
        }

        func action(at now: Duration) -> RefreshPlan.Action { plan.action(now: now, time: start + now) }
    }

    @Test func keysWithoutAnEndAreAskedForOnce() {
        var run = Run()
        #expect(run.action(at: .zero) == .ask)
        run.answer(.success(Self.keys()), at: .zero)
        #expect(run.action(at: .seconds(1_000_000)) == .use(Self.keys()))
    }

    @Test func newKeysAreAskedForMinutesBeforeTheEndAndOldOnesUsedUntilThen() {
        var run = Run()
        let keys = Self.keys(livesFor: .seconds(3600))
        run.answer(.success(keys), at: .zero)
        #expect(run.action(at: .seconds(3200)) == .use(keys))
        #expect(run.action(at: .seconds(3400)) == .useAndAsk(keys))
        run.answer(.failure(Self.failure), at: .seconds(3400))
        #expect(run.action(at: .seconds(3400)) == .use(keys))
        #expect(run.action(at: .seconds(3450)) == .useAndAsk(keys))
        run.answer(.failure(Self.failure), at: .seconds(3599))
        let late = run.plan.action(now: .seconds(3599), time: Self.start + .seconds(3600))
        guard case .fail(let error) = late else { return #expect(Bool(false), "\(late)") }
        #expect(error.kind == .noCredentials)
        #expect(error.message.contains("expired") && error.message.contains("the service is away"))
        #expect(run.action(at: .seconds(3700)) == .ask)
        run.answer(.success(Self.keys("N", livesFor: .seconds(7200))), at: .seconds(3700))
        #expect(run.action(at: .seconds(3701)) == .use(Self.keys("N", livesFor: .seconds(7200))))
    }

    @Test func ofAShortLifeTheLastQuarterIsForRefreshing() {
        var run = Run()
        let keys = Self.keys(livesFor: .seconds(8))
        run.answer(.success(keys), at: .zero)
        #expect(run.action(at: .seconds(5)) == .use(keys))
        #expect(run.action(at: .seconds(7)) == .useAndAsk(keys))
    }

    @Test func whoIsNotThereIsAskedAgainWithinSeconds() {
        var run = Run()
        var now = Duration.zero
        for _ in 0..<50 {
            run.answer(.success(nil), at: now)
            #expect(run.action(at: now) == .absent)
            #expect(run.action(at: now + .seconds(16)) == .ask)
            now += .seconds(16)
        }
        run.answer(.failure(Self.failure), at: now)
        #expect(run.action(at: now) == .fail(Self.failure))
        // Whoever waited for that answer takes it, however late he comes to it.
        let late = run.plan.action(now: now + .seconds(60), time: Self.start, hasAsked: true)
        #expect(late == .fail(Self.failure))
    }

    @Test func aWrongClockDoesNotKeepNewKeysFromBeingUsed() {
        var run = Run()
        let keys = Self.keys(livesFor: .seconds(-86_400 * 3650))
        run.answer(.success(keys), at: .zero)
        #expect(run.action(at: .seconds(1)) == .use(keys))
        #expect(run.action(at: .seconds(61)) == .useAndAsk(keys))
    }

    @Test func refusedKeysAreAskedForOnceAndThenTheRefusalStands() {
        var run = Run()
        let keys = Self.keys()
        run.answer(.success(keys), at: .zero)
        let isReplaced = run.plan.refused(Self.keys("older"), now: .seconds(100))
        #expect(isReplaced)
        #expect(run.action(at: .seconds(100)) == .use(keys))
        let mayBeOthers = run.plan.refused(keys, now: .seconds(100))
        #expect(mayBeOthers)
        #expect(run.action(at: .seconds(100)) == .ask)
        run.answer(.success(keys), at: .seconds(100))
        #expect(run.action(at: .seconds(100)) == .use(keys))
        let mayBeOthersStill = run.plan.refused(keys, now: .seconds(100))
        #expect(!mayBeOthersStill)
        #expect(run.action(at: .seconds(120)) == .ask)
        run.answer(.success(Self.keys("N")), at: .seconds(120))
        #expect(run.action(at: .seconds(140)) == .use(Self.keys("N")))
    }
}

import ObjectStore
import TestKit
import Testing

@testable import S3

struct RetryPolicyTests {
    private let policy = RetryPolicy()
    private func error(_ kind: StoreError.Kind) -> StoreError { StoreError(kind, message: "m") }

    @Test func onlyTransientFailuresAreTriedAgain() {
        var random = SeededRandom(seed: 1)
        for kind in [StoreError.Kind.throttled, .serverFault, .unreachable, .conflict, .corrupted] {
            #expect(policy.delay(after: error(kind), attempt: 1, using: &random) != nil)
        }
        for kind in [StoreError.Kind.notFound, .cancelled, .preconditionFailed, .localFault, .untrusted, .badAnswer] {
            #expect(policy.delay(after: error(kind), attempt: 1, using: &random) == nil)
        }
    }

    @Test func attemptsAreBounded() {
        var random = SeededRandom(seed: 1)
        #expect(policy.delay(after: error(.serverFault), attempt: 3, using: &random) != nil)
        #expect(policy.delay(after: error(.serverFault), attempt: 4, using: &random) == nil)
    }

    @Test func waitsAreJitteredUnderADoublingBound() {
        var random = SeededRandom(seed: 7)
        var policy = RetryPolicy()
        policy.maximumAttempts = 100
        for (attempt, bound) in [
            (1, Duration.milliseconds(100)), (2, .milliseconds(200)), (4, .milliseconds(800)), (50, .seconds(20)),
        ] {
            let waits = (0..<300).compactMap { _ in
                policy.delay(after: error(.unreachable), attempt: attempt, using: &random)
            }
            #expect(waits.allSatisfy { $0 >= .zero && $0 <= bound })
            #expect(waits.contains { $0 > bound * 0.9 } && waits.contains { $0 < bound * 0.1 })
        }
    }

    @Test func throttlingWaitsLonger() {
        var random = SeededRandom(seed: 7)
        let waits = (0..<300).compactMap { _ in policy.delay(after: error(.throttled), attempt: 1, using: &random) }
        #expect(waits.contains { $0 > .milliseconds(450) })
    }
}

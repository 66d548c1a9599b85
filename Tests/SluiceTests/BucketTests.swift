import ObjectStore
import Platform
import Testing

@testable import sluice

/// The first question to a bucket.
@Suite struct BucketTests {
    private func bucket(_ probe: @escaping @Sendable () async throws(StoreError) -> Void) throws -> Bucket {
        Bucket(store: try DirectoryStore(path: "/tmp"), identity: "test", probe: probe)
    }

    @Test func aBucketThatAnswersHasNoFailure() async throws {
        #expect(try await bucket {}.failure(within: .seconds(60)) == nil)
    }

    @Test func whatTheStoreSaysIsTheFailure() async throws {
        let error = StoreError(.noSuchBucket, message: "no such bucket")
        let bucket = try bucket { () async throws(StoreError) in throw error }
        #expect(await bucket.failure(within: .seconds(60)) == error)
    }

    @Test func aStoreThatNeverAnswersIsUnreachableWhenTheTimeIsOver() async throws {
        let bucket = try bucket { () async throws(StoreError) in
            do { try await Task.sleep(for: .seconds(3600)) } catch { throw StoreError(.cancelled, message: "") }
        }
        let clock = ContinuousClock()
        let start = clock.now
        let failure = await bucket.failure(within: .milliseconds(50))
        #expect(failure?.kind == .unreachable && failure?.message == "no answer within 0.05 s")
        #expect(clock.now - start < .seconds(600))
    }

    @Test(arguments: [
        StoreError.Kind.unreachable, .noCredentials, .throttled, .serverFault, .clockSkewed, .untrusted,
    ])
    func whatMayPassDoesNotKeepAKnownBucketFromBeingMounted(kind: StoreError.Kind) {
        #expect(StoreError(kind, message: "").mayPass)
    }

    @Test(arguments: [
        StoreError.Kind.noSuchBucket, .badCredentials, .accessDenied, .wrongRegion, .badAnswer, .refused,
    ])
    func whatSomebodyHasToPutRightDoes(kind: StoreError.Kind) {
        #expect(!StoreError(kind, message: "").mayPass)
    }
}

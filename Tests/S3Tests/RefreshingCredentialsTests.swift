import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing

@testable import S3

struct RefreshingCredentialsTests {
    /// Answers as a test says; counts the questions.
    private final class ScriptedSource: CredentialsSource {
        struct State {
            var question: Int? = 1
            var answer: Result<Credentials?, StoreError> = .success(nil)
            var asked = 0
            var isHeld = false
        }

        let state = Mutex(State())
        var place: String { "a script" }
        var asked: Int { state.withLock { $0.asked } }

        func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }

        func question() throws(StoreError) -> Int? { state.withLock { $0.question } }

        func ask(_ question: Int) async throws(StoreError) -> Credentials? {
            state.withLock { $0.asked += 1 }
            while state.withLock({ $0.isHeld }) { await Task.yield() }
            return try state.withLock { $0.answer }.get()
        }
    }

    private static let keys = Credentials(accessKeyID: "K", secretAccessKey: "s")
    private let time = ManualTime()
    private let source = ScriptedSource()

    @Test func oneQuestionIsEnoughForAllWhoWait() async throws {
        source.set { ($0.answer, $0.isHeld) = (.success(Self.keys), true) }
        let provider = RefreshingCredentials(source, time: time)
        let now = time.wall
        try await withThrowingTaskGroup(of: Credentials?.self) { group in
            for _ in 0..<20 { group.addTask { try await provider.credentials(at: now) } }
            while source.asked == 0 { await Task.yield() }
            source.set { $0.isHeld = false }
            for try await credentials in group { #expect(credentials == Self.keys) }
        }
        #expect(source.asked == 1)
    }

    @Test func newKeysComeInTheBackground() async throws {
        let old = Credentials(accessKeyID: "K", secretAccessKey: "s", expiration: time.wall + .seconds(3600))
        source.set { $0.answer = .success(old) }
        let provider = RefreshingCredentials(source, time: time)
        #expect(try await provider.credentials(at: time.wall) == old)
        source.set { $0.answer = .success(Self.keys) }
        time.advance(by: .seconds(3400))
        #expect(try await provider.credentials(at: time.wall) == old)
        while try await provider.credentials(at: time.wall) == old { await Task.yield() }
        #expect(try await provider.credentials(at: time.wall) == Self.keys)
        #expect(source.asked == 2)
    }

    @Test func aSourceThatIsSetUpAnewIsAskedAtOnce() async throws {
        source.set { $0.answer = .failure(StoreError(.noCredentials, message: "no")) }
        let provider = RefreshingCredentials(source, time: time)
        await #expect(throws: StoreError.self) { try await provider.credentials(at: time.wall) }
        await #expect(throws: StoreError.self) { try await provider.credentials(at: time.wall) }
        #expect(source.asked == 1)
        source.set { ($0.question, $0.answer) = (2, .success(Self.keys)) }
        #expect(try await provider.credentials(at: time.wall) == Self.keys)
        source.set { $0.question = nil }
        #expect(try await provider.credentials(at: time.wall) == nil)
        #expect(provider.place.isEmpty)
    }

    @Test func whoIsCancelledDoesNotWaitForTheAnswer() async throws {
        source.set { $0.isHeld = true }
        let provider = RefreshingCredentials(source, time: time)
        let now = time.wall
        let waiter = Task { try await provider.credentials(at: now) }
        while source.asked == 0 { await Task.yield() }
        waiter.cancel()
        await #expect(throws: StoreError(.cancelled, message: "cancelled")) { try await waiter.value }
        source.set { $0.isHeld = false }
    }
}

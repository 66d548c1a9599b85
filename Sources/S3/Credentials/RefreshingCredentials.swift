import ObjectStore
import Platform
import Synchronization

/// Keeps the keys of a source and asks for new ones in time. One question is under way at once, whoever waits for it.
final class RefreshingCredentials<Source: CredentialsSource>: CredentialsProvider {
    private struct State {
        var question: Source.Question?
        var plan = RefreshPlan()
        /// The question under way.
        var asking: Source.Question?
        var random = SystemRandom()
    }

    private let source: Source
    private let time: any TimeSource
    private let state = Mutex(State())
    private let answers = ProgressSignal()

    init(_ source: Source, time: any TimeSource) {
        self.source = source
        self.time = time
    }

    /// Empty if the source is not set up.
    var place: String { ((try? source.question()) ?? nil) == nil ? "" : source.place }

    func credentials(at storeTime: Timestamp) async throws(StoreError) -> Credentials? {
        let start = time.monotonic
        var asked: Source.Question?
        while true {
            guard let question = try source.question() else {
                state.withLock { $0 = State(asking: $0.asking) }
                return nil
            }
            let seen = answers.count
            let now = storeTime + (time.monotonic - start)
            let (action, isAsked) = begin(question, at: now, hasAsked: asked == question)
            switch action {
            case .use(let credentials), .useAndAsk(let credentials): return credentials
            case .absent: return nil
            case .fail(let error): throw error
            case .ask:
                // While another question is under way, this one is yet to be asked.
                if isAsked { asked = question }
                do { try await answers.wait(after: seen) } catch {
                    throw StoreError(.cancelled, message: "cancelled")
                }
            }
        }
    }

    func refused(_ credentials: Credentials) -> Bool {
        let now = time.monotonic
        return state.withLock { $0.plan.refused(credentials, now: now) }
    }

    /// What to do now, and whether this question is under way afterwards. If it is to be asked, it or another is.
    private func begin(
        _ question: Source.Question, at storeTime: Timestamp, hasAsked: Bool
    ) -> (RefreshPlan.Action, isAsked: Bool) {
        let now = time.monotonic
        return state.withLock { state in
            if state.question != question {
                state.question = question
                state.plan = RefreshPlan()
            }
            let action = state.plan.action(now: now, time: storeTime, hasAsked: hasAsked)
            switch action {
            case .ask, .useAndAsk:
                guard state.asking == nil else { break }
                state.asking = question
                Task { [self] in await ask(question, at: storeTime, since: now) }
            case .use, .absent, .fail: break
            }
            return (action, state.asking == question)
        }
    }

    /// An answer to a question that is no longer the one is dropped.
    private func ask(_ question: Source.Question, at storeTime: Timestamp, since start: Duration) async {
        let result: Result<Credentials?, StoreError>
        do { result = .success(try await source.ask(question)) } catch { result = .failure(error) }
        let now = time.monotonic
        state.withLock { state in
            state.asking = nil
            guard state.question == question else { return }
            state.plan.answered(result, now: now, time: storeTime + (now - start), using: &state.random)
        }
        answers.fire()
    }
}

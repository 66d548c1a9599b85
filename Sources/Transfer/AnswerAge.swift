/// How old the store's last answer about something is, and what that means for whoever asks. Decides alone.
///
/// All times are those of one monotonic clock. The age counts from the start of the request: what others changed while it
/// ran may have been missed.
struct AnswerAge: Equatable, Sendable {
    /// What to do about a question.
    enum Advice: Equatable, Sendable {
        /// What is known will do.
        case known
        /// What is known will do, and the store is to be asked in the background.
        case knownAndAsk
        /// The store's answer is to be waited for this long, and to be asked for if it is not on its way; then what is known
        /// has to do.
        case wait(Duration)
    }

    /// Who failed asks again no sooner.
    static let shortestPause = Duration.seconds(1)

    /// The start of the last request that was answered.
    private(set) var answeredAt: Duration?
    /// Of the one under way.
    private(set) var begunAt: Duration?
    /// The end of the last one, if it failed.
    private(set) var failedAt: Duration?

    /// A question. An answer is fresh for `limit`. `patience` is how long the asker would wait since the start of a request;
    /// zero: not at all.
    func advice(at now: Duration, limit: Duration, patience: Duration) -> Advice {
        let age = answeredAt.map { now - $0 }
        // What is in use never becomes stale.
        if let age, age < limit / 2 { return .known }
        let isFresh = age.map { $0 < limit } ?? false
        // Whoever asks a store that did not answer last time would wait in vain: one has done so already.
        if !isFresh && failedAt == nil {
            let left = begunAt.map { patience - (now - $0) } ?? patience
            if left > .zero { return .wait(left) }
        }
        return isDue(at: now, limit) ? .knownAndAsk : .known
    }

    /// How long the answer stays fresh; zero if it is not.
    func remaining(at now: Duration, limit: Duration) -> Duration {
        guard let answeredAt else { return .zero }
        return max(.zero, limit - (now - answeredAt))
    }

    private func isDue(at now: Duration, _ limit: Duration) -> Bool {
        guard begunAt == nil else { return false }
        return failedAt.map { now - $0 >= max(limit / 2, Self.shortestPause) } ?? true
    }

    mutating func began(at now: Duration) { begunAt = now }

    mutating func succeeded(at now: Duration) { self = AnswerAge(answeredAt: begunAt ?? now) }

    mutating func failed(at now: Duration) {
        begunAt = nil
        failedAt = now
    }

    /// The last answer turned out not to hold any more.
    mutating func doubt() { answeredAt = nil }
}

import ObjectStore
import Platform

/// When temporary keys are asked for again, and what may be used meanwhile. Pure.
///
/// Moments of `now` are those of the monotonic clock; those of `time` of the store's, as expiry is judged.
struct RefreshPlan: Sendable {
    enum Action: Equatable, Sendable {
        case use(Credentials)
        /// Good still, but it is time for new ones.
        case useAndAsk(Credentials)
        /// Nothing can be used before there is an answer.
        case ask
        /// Nobody was there to ask a moment ago.
        case absent
        case fail(StoreError)
    }

    /// Five minutes before the end, or in the last quarter of a short life: AWS's services give new keys that early.
    private static let margin = Duration.seconds(300)
    /// Keys whose end has passed already when they are given: one of the clocks is wrong, and the store will tell.
    private static let doubtfulLife = Duration.seconds(60)
    /// A person who writes a file or logs in waits no longer than this.
    private static let longestPause = Duration.seconds(15)

    private var current: Credentials?
    /// From here on, new ones are asked for; nil: never.
    private var refresh: Timestamp?
    /// Whether the end has passed by a clock that cannot be right.
    private var isDoubtful = false
    private var isRefused = false
    private var failure: StoreError?
    private var backoff = Backoff(cap: longestPause)
    private var nextQuestion = Duration.zero

    init() {}

    /// - Parameter hasAsked: whether this caller has waited for an answer already and takes what came of it.
    func action(now: Duration, time: Timestamp, hasAsked: Bool = false) -> Action {
        let mayAsk = now >= nextQuestion && !hasAsked
        guard let current else {
            if mayAsk { return .ask }
            return failure.map(Action.fail) ?? .absent
        }
        // Should the answer be the same again, the store's refusal says best what is wrong.
        if isRefused { return mayAsk ? .ask : .use(current) }
        if isDoubtful { return mayAsk ? .useAndAsk(current) : .use(current) }
        if let end = current.expiration, end <= time { return mayAsk ? .ask : .fail(Self.expired(failure)) }
        if let refresh, refresh <= time, mayAsk { return .useAndAsk(current) }
        return .use(current)
    }

    mutating func answered(
        _ result: Result<Credentials?, StoreError>, now: Duration, time: Timestamp,
        using random: inout some RandomNumberGenerator
    ) {
        switch result {
        case .success(let credentials?):
            failure = nil
            accept(credentials, now: now, time: time, using: &random)
        case .success(nil):
            failure = nil
            nextQuestion = now + backoff.next(using: &random)
        case .failure(let error):
            failure = error
            nextQuestion = now + backoff.next(using: &random)
        }
    }

    /// The store refused `credentials`; whether the next answer may be others.
    mutating func refused(_ credentials: Credentials, now: Duration) -> Bool {
        guard let current else { return false }
        guard current == credentials else { return true }
        isRefused = true
        return now >= nextQuestion
    }

    private mutating func accept(
        _ credentials: Credentials, now: Duration, time: Timestamp, using random: inout some RandomNumberGenerator
    ) {
        // The same once more, though the store does not take them: the source is not to be pressed.
        let isSame = credentials == current
        if !isSame { isRefused = false }
        current = credentials
        isDoubtful = credentials.expiration.map { $0 <= time } ?? false
        refresh = nil
        if isRefused || (isSame && !isDoubtful) {
            nextQuestion = now + backoff.next(using: &random)
        } else {
            backoff.reset()
            nextQuestion = now + (isDoubtful ? Self.doubtfulLife : backoff.base)
        }
        guard let end = credentials.expiration, !isDoubtful else { return }
        let margin = min(Self.margin * Double.random(in: 0.8...1.2, using: &random), (end - time) / 4)
        refresh = end + (.zero - margin)
    }

    private static func expired(_ failure: StoreError?) -> StoreError {
        StoreError(.noCredentials, message: "the credentials have expired: \(failure?.message ?? "no new ones yet")")
    }
}

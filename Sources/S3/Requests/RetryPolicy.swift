import ObjectStore

/// Whether and when a failed request is sent again. Pure; the random numbers are passed in.
///
/// Full jitter: the wait is uniform between nothing and the bound, which doubles with every attempt ("Exponential
/// Backoff And Jitter", AWS Architecture Blog). Retrying for hours is the business of whoever owns the queue.
public struct RetryPolicy: Equatable, Sendable {
    /// The first one counts.
    public var maximumAttempts = 4
    public var base: Duration = .milliseconds(100)
    /// Larger, as the store asked for less load.
    public var throttledBase: Duration = .milliseconds(500)
    public var cap: Duration = .seconds(20)

    public init() {}

    /// The wait before the next attempt; nil if there shall be none.
    /// - Parameter attempt: how many attempts have failed, 1 or more.
    public func delay(
        after error: StoreError,
        attempt: Int,
        using random: inout some RandomNumberGenerator
    ) -> Duration? {
        guard error.isTransient, attempt < maximumAttempts else { return nil }
        let base = error.kind == .throttled ? throttledBase : base
        let bound = min(cap, base * (1 << min(attempt - 1, 16)))
        return bound * Double.random(in: 0...1, using: &random)
    }
}

/// How long to wait before the next try: exponential with full jitter, without end (AWS Architecture Blog,
/// "Exponential Backoff And Jitter").
public struct Backoff: Equatable, Sendable {
    public var base: Duration
    public var cap: Duration
    public private(set) var failures = 0

    public init(base: Duration = .seconds(1), cap: Duration = .seconds(60)) {
        self.base = base
        self.cap = cap
    }

    /// Upper bound of the wait after the next failure.
    public var ceiling: Duration { failures < 32 ? min(cap, base * (1 << failures)) : cap }

    /// Counts a failure; the wait before the next try lies between half the base and the growing ceiling, so that a
    /// lucky draw does not hammer a server.
    public mutating func next(using random: inout some RandomNumberGenerator) -> Duration {
        let wait = max(base / 2, ceiling * Double.random(in: 0...1, using: &random))
        failures += 1
        return wait
    }

    public mutating func reset() {
        failures = 0
    }
}

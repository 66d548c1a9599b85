import ObjectStore
import Platform

/// What answers have taught about the store: the bucket's region, the store's clock, and what it does not have. Pure.
struct StoreKnowledge: Equatable, Sendable {
    /// The store's clock, as it was at a moment of our monotonic one: our wall clock may jump meanwhile.
    private struct Reading: Equatable {
        var time: Timestamp
        var monotonic: Duration
    }

    /// Dates that a store's clock may show; others are no dates but faults. A wrong store is obeyed all the same, as it
    /// is the one that has to accept them.
    private static let plausible = Timestamp(seconds: 946_684_800)..<Timestamp(seconds: 4_102_444_800)

    var region: String
    /// Whether uploads in parts may be created with a checksum: not where the store refused one, or did not do as it said.
    var mayHaveChecksums = true
    private var clock: Reading?

    init(region: String) { self.region = region }

    /// What to sign with now: our wall clock as long as the store accepts it, else the store's own.
    func storeTime(wall: Timestamp, monotonic: Duration) -> Timestamp {
        guard let clock else { return wall }
        return clock.time + (monotonic - clock.monotonic)
    }

    /// A refusal for a reason that HEAD cannot tell: if the store's clock is too far from the one we signed with, that
    /// is the reason.
    static func diagnosed(_ error: StoreError, date: Timestamp?, signedAt: Timestamp) -> StoreError {
        guard error.kind == .accessDenied || error.kind == .refused, error.code.isEmpty, let date,
            (date.nanoseconds.subtractingReportingOverflow(signedAt.nanoseconds).partialValue.magnitude)
                > 900_000_000_000
        else { return error }
        var error = error
        error.kind = .clockSkewed
        return error
    }

    /// Whether something was learned with which the same request may succeed.
    /// - Parameters:
    ///   - date: of the answer, by the store's clock.
    ///   - monotonic: when the answer came.
    mutating func learn(from error: StoreError, date: Timestamp?, monotonic: Duration) -> Bool {
        switch error.kind {
        case .wrongRegion:
            guard let named = error.region, S3Configuration.isRegion(named), named != region else { return false }
            region = named
            return true
        case .clockSkewed:
            guard let date, Self.plausible.contains(date) else { return false }
            clock = Reading(time: date, monotonic: monotonic)
            return true
        default: return false
        }
    }

    /// The store refuses its own time as well: what it tells is no better than our clock.
    mutating func forgetClock() { clock = nil }
}

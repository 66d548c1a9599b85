import ObjectStore
import Platform

/// What answers have taught about the store: the bucket's region and the store's clock. Pure.
struct StoreKnowledge: Equatable, Sendable {

    var region: String
    /// What is added to our wall clock to have the store's.
    var clockOffset: Duration = .zero

    init(region: String) { self.region = region }

    /// A refusal for a reason that HEAD cannot tell: if the store's clock is too far from the one we signed with, that
    /// is the reason.
    static func diagnosed(_ error: StoreError, date: Timestamp?, signedAt: Timestamp) -> StoreError {
        guard error.kind == .accessDenied || error.kind == .refused, error.code.isEmpty, let date,
            abs(date.nanoseconds - signedAt.nanoseconds) > 900_000_000_000
        else { return error }
        var error = error
        error.kind = .clockSkewed
        return error
    }

    /// Whether something was learned with which the same request may succeed.
    mutating func learn(from error: StoreError, date: Timestamp?, now: Timestamp) -> Bool {
        switch error.kind {
        case .wrongRegion:
            guard let named = error.region, S3Configuration.isRegion(named), named != region else { return false }
            region = named
            return true
        case .clockSkewed:
            guard let date else { return false }
            clockOffset = .nanoseconds(date.nanoseconds - now.nanoseconds)
            return true
        default: return false
        }
    }
}

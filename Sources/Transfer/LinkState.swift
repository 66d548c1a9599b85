import ObjectStore

/// Whether there is a way to the store, told by the outcomes of requests. Pure.
public struct LinkState: Equatable, Sendable {
    public enum Condition: String, Sendable {
        case online
        case offline
        /// By a person's wish; requests are not kept from passing, uploads wait.
        case paused
    }

    /// So many requests in a row without an answer mean that the link is gone, if no probe says so before.
    static let failuresUntilOffline = 3

    private var failures = 0
    private(set) var isOffline = false
    /// Why the last request found no way; nil while there is one.
    private(set) var reason: String?
    /// Whether it is the credentials that are in the way.
    private(set) var lacksKeys = false
    var isPaused = false

    public var condition: Condition { isPaused ? .paused : isOffline ? .offline : .online }

    /// Whether the last request found no way and nothing has told yet that the link is gone.
    var isDoubtful: Bool { failures > 0 && !isOffline }

    /// Takes the outcome of a request (nil: it succeeded); returns whether the link just went or came.
    ///
    /// An error that a server answered with proves the link as well as a success does.
    mutating func record(_ error: StoreError?) -> Bool { take(error, weight: 1) }

    /// The same of a request that asked for nothing but this: one failure is enough.
    mutating func recordProbe(_ error: StoreError?) -> Bool { take(error, weight: Self.failuresUntilOffline) }

    private mutating func take(_ error: StoreError?, weight: Int) -> Bool {
        let before = isOffline
        switch error {
        case let error? where Self.findsNoWay(error):
            // Keys that the store refuses for one request are no good for any other.
            failures += error.isKeyFailure ? Self.failuresUntilOffline : weight
            lacksKeys = error.isKeyFailure
            reason = lacksKeys ? "\(error)" : error.message
            if failures >= Self.failuresUntilOffline { isOffline = true }
        case let error? where Self.saysNothing(error): break
        // To HEAD, wrong keys are as bare a refusal as any.
        case let error? where lacksKeys && error.kind == .accessDenied && error.code.isEmpty: break
        default:
            failures = 0
            reason = nil
            lacksKeys = false
            isOffline = false
        }
        return isOffline != before
    }

    /// An answer that no S3 service gives is one of somebody in between, such as a login page.
    private static func findsNoWay(_ error: StoreError) -> Bool { error.isLinkFailure || error.kind == .badAnswer }

    /// Whether the request failed before there was anything to learn of the link.
    private static func saysNothing(_ error: StoreError) -> Bool {
        switch error.kind {
        case .cancelled, .localFault: true
        default: false
        }
    }
}

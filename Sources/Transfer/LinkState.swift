import ObjectStore

/// Whether there is a way to the store, told by the outcomes of requests.
public struct LinkState: Equatable, Sendable {
    public enum Condition: String, Sendable {
        case online
        case offline
        /// By a person's wish; requests are not kept from passing, uploads wait.
        case paused
    }

    /// So many requests in a row without an answer mean that the link is gone.
    static let failuresUntilOffline = 3

    private var failures = 0
    private(set) var isOffline = false
    var isPaused = false

    public var condition: Condition { isPaused ? .paused : isOffline ? .offline : .online }

    /// Takes the outcome of a request (nil: it succeeded); returns whether the link just went or came.
    ///
    /// An error that a server answered with proves the link as well as a success does.
    mutating func record(_ error: StoreError?) -> Bool {
        let before = isOffline
        switch error?.kind {
        case .unreachable:
            failures += 1
            if failures >= Self.failuresUntilOffline { isOffline = true }
        case .cancelled, .localFault, .noCredentials, .untrusted:
            break  // says nothing of the link
        default:
            failures = 0
            isOffline = false
        }
        return isOffline != before
    }
}

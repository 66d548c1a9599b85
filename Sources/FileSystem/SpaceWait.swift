/// How long a change of a file for which there is no room waits: decides from moments of the monotonic clock alone.
///
/// Some recorders ignore a failed write: an early ENOSPC would be a silent loss for them. So a change waits as long as
/// space may still come, which is as long as something gets on: bytes reach the bucket, or room was found.
struct SpaceWait: Equatable, Sendable {
    enum Decision: Equatable {
        /// For at most this long, then to be asked again.
        case wait(Duration)
        /// ENOSPC.
        case fail
    }

    /// Without any progress. Zero: nothing waits.
    let limit: Duration

    /// - Parameters:
    ///   - since: when the change began to wait.
    ///   - progress: when something last got on, which may be long before.
    func decide(since: Duration, progress: Duration, now: Duration) -> Decision {
        let quiet = now - max(since, progress)
        return quiet < limit ? .wait(limit - quiet) : .fail
    }
}

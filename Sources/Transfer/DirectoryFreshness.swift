/// How old what is known of one directory is, and what that means for whoever asks for its names. Decides alone; the
/// ``Lister`` acts.
///
/// All times are those of one monotonic clock. The age counts from the start of a listing: what others changed while
/// it ran may have been missed.
struct DirectoryFreshness: Equatable, Sendable {
    /// What to do about a question.
    enum Answer: Equatable, Sendable {
        /// What is known will do.
        case known
        /// What is known will do, and a listing is to begin in the background.
        case knownAndList
        /// A listing is to be waited for this long, and to be begun if none is under way; then what is known has to do.
        case wait(Duration)
    }

    /// Listing a directory of more than one page takes at most this part of the time: so many times the duration of a
    /// listing, what it found counts as fresh.
    static let shareOfListings = 10
    /// A listing that failed is tried again no sooner.
    static let shortestPause = Duration.seconds(1)

    /// The start of the last listing that succeeded.
    private var listedAt: Duration?
    /// How long that one took, if it had more than one page.
    private var cost = Duration.zero
    /// Of the listing under way.
    private var begunAt: Duration?
    private var progressAt: Duration?
    /// What the store sent is being taken in: it is this machine that is waited for.
    private var isMerging = false
    private var pages = 0
    /// The end of the last listing, if it failed.
    private var failedAt: Duration?

    var isUnderWay: Bool { begunAt != nil }

    /// When the store was last heard of in the listing under way; nil if there is none.
    func lastProgress(at now: Duration) -> Duration? { isMerging ? now : progressAt }

    /// A question. `patience` is how long the asker would wait since the start of a listing; zero: not at all.
    func ask(at now: Duration, timeToLive: Duration, patience: Duration) -> Answer {
        let limit = limit(timeToLive)
        let age = listedAt.map { now - $0 }
        if let age, age < limit / 2 { return .known }
        let isFresh = age.map { $0 < limit } ?? false
        // Whoever asks a store that did not answer last time would wait in vain: one has done so already.
        if !isFresh && failedAt == nil {
            let left = begunAt.map { patience - (now - $0) } ?? patience
            if left > .zero { return .wait(left) }
        }
        return isDue(at: now, limit) ? .knownAndList : .known
    }

    /// How long what is known stays fresh; zero if it is not.
    func remaining(at now: Duration, timeToLive: Duration) -> Duration {
        guard let listedAt else { return .zero }
        return max(.zero, limit(timeToLive) - (now - listedAt))
    }

    private func limit(_ timeToLive: Duration) -> Duration { max(timeToLive, cost * Self.shareOfListings) }

    private func isDue(at now: Duration, _ limit: Duration) -> Bool {
        guard begunAt == nil else { return false }
        return failedAt.map { now - $0 >= max(limit / 2, Self.shortestPause) } ?? true
    }

    mutating func began(at now: Duration) {
        begunAt = now
        progressAt = now
        isMerging = false
        pages = 0
    }

    /// A page of the listing under way came, and is taken in now.
    mutating func received(at now: Duration) {
        guard begunAt != nil else { return }
        pages += 1
        isMerging = true
    }

    /// It was taken in; the next one is asked for.
    mutating func asked(at now: Duration) {
        guard begunAt != nil else { return }
        progressAt = now
        isMerging = false
    }

    mutating func succeeded(at now: Duration) {
        let start = begunAt ?? now
        let isLarge = pages > 1
        self = DirectoryFreshness()
        listedAt = start
        cost = isLarge ? now - start : .zero
    }

    mutating func failed(at now: Duration) {
        begunAt = nil
        progressAt = nil
        isMerging = false
        failedAt = now
    }
}

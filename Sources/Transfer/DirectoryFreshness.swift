/// How old what is known of one directory is, and what that means for whoever asks for its names. Decides alone; the
/// ``Lister`` acts.
///
/// All times are those of one monotonic clock; see ``AnswerAge``.
struct DirectoryFreshness: Equatable, Sendable {
    /// Listing a directory of more than one page takes at most this part of the time: so many times the duration of a
    /// listing, what it found counts as fresh.
    static let shareOfListings = 10
    /// Of the last listing.
    private var age = AnswerAge()
    /// How long that one took, if it had more than one page.
    private var cost = Duration.zero
    /// Of the listing under way.
    private var progressAt: Duration?
    /// What the store sent is being taken in: it is this machine that is waited for.
    private var isMerging = false
    private var pages = 0

    init() {}

    /// What is left to remember of most listings.
    init(listedAt time: Duration) { age.succeeded(at: time) }

    /// When the directory was last listed, if there is nothing else to remember.
    var listedAt: Duration? {
        age.answeredAt.flatMap { self == DirectoryFreshness(listedAt: $0) ? $0 : nil }
    }

    var isUnderWay: Bool { age.begunAt != nil }

    /// When the store was last heard of in the listing under way; nil if there is none.
    func lastProgress(at now: Duration) -> Duration? { isMerging ? now : progressAt }

    /// A question. `patience` is how long the asker would wait since the start of a listing; zero: not at all.
    func ask(at now: Duration, timeToLive: Duration, patience: Duration) -> AnswerAge.Advice {
        age.advice(at: now, limit: limit(timeToLive), patience: patience)
    }

    /// How long what is known stays fresh; zero if it is not.
    func remaining(at now: Duration, timeToLive: Duration) -> Duration {
        age.remaining(at: now, limit: limit(timeToLive))
    }

    private func limit(_ timeToLive: Duration) -> Duration { max(timeToLive, cost * Self.shareOfListings) }

    mutating func began(at now: Duration) {
        age.began(at: now)
        progressAt = now
        isMerging = false
        pages = 0
    }

    /// A page of the listing under way came, and is taken in now.
    mutating func received(at now: Duration) {
        guard isUnderWay else { return }
        pages += 1
        isMerging = true
    }

    /// It was taken in; the next one is asked for.
    mutating func asked(at now: Duration) {
        guard isUnderWay else { return }
        progressAt = now
        isMerging = false
    }

    mutating func succeeded(at now: Duration) {
        cost = pages > 1 ? now - (age.begunAt ?? now) : .zero
        age.succeeded(at: now)
        end()
    }

    mutating func failed(at now: Duration) {
        age.failed(at: now)
        end()
    }

    private mutating func end() {
        progressAt = nil
        isMerging = false
        pages = 0
    }
}

import Cache

/// For which names of directories that were never listed the store was asked, one by one, and how old its answers are.
/// Decides alone; the ``Lister`` acts.
///
/// All times are those of one monotonic clock. The age counts from the start of a probe. That there is no such name is
/// an answer as well.
struct NameProbes: Sendable {
    /// What to do about a question for a name.
    enum Answer: Equatable, Sendable {
        /// What is known will do.
        case known
        /// What is known will do, and a probe is to begin in the background.
        case knownAndProbe
        /// A probe is to be waited for this long, and to be begun if none is under way; then what is known has to do.
        case wait(Duration)
    }

    /// Who asks for so many names of a directory is likely to ask for more: a page of a listing is the cheaper way.
    static let manyNames = 4
    /// Names count together that were asked for within so long of each other.
    static let span = Duration.seconds(60)
    /// Names that are remembered; beyond, all are forgotten but those that are asked for now.
    static let memoryLimit = 100_000

    private struct Probe {
        /// The start of the last one that was answered.
        var answeredAt: Duration?
        /// Of the one under way.
        var begunAt: Duration?
        /// The end of the last one, if it failed.
        var failedAt: Duration?

        func isDue(at now: Duration, _ timeToLive: Duration) -> Bool {
            guard begunAt == nil else { return false }
            return failedAt.map { now - $0 >= max(timeToLive / 2, DirectoryFreshness.shortestPause) } ?? true
        }

        func isOld(at now: Duration) -> Bool {
            begunAt == nil && now - max(answeredAt ?? .zero, failedAt ?? .zero) >= NameProbes.span
        }
    }

    private var directories: [InodeNumber: [FileName: Probe]] = [:]
    private var count = 0

    /// A question. `hasRow`: something is known by that name. `patience` is how long the asker would wait, since the
    /// start of a probe, for news of what is known, also that there is no such name; `deadline`, where nothing is.
    func ask(
        _ name: FileName, in directory: InodeNumber, hasRow: Bool, at now: Duration, timeToLive: Duration,
        patience: Duration, deadline: Duration
    ) -> Answer {
        let probe = directories[directory]?[name] ?? Probe()
        let age = probe.answeredAt.map { now - $0 }
        // Names in use never become stale, those that are not there cost no further request before they are.
        if let age, age < (hasRow ? timeToLive / 2 : timeToLive) { return .known }
        guard hasRow || age != nil else { return .wait(deadline) }
        let isFresh = age.map { $0 < timeToLive } ?? false
        // Whoever asks a store that did not answer last time would wait in vain: one has done so already.
        if !isFresh && probe.failedAt == nil {
            let left = probe.begunAt.map { patience - (now - $0) } ?? patience
            if left > .zero { return .wait(left) }
        }
        return probe.isDue(at: now, timeToLive) ? .knownAndProbe : .known
    }

    /// Whether names of a directory were asked for.
    func isAbout(_ directory: InodeNumber) -> Bool { directories[directory]?.isEmpty == false }

    /// How long the answer for a name stays fresh; zero if it is not.
    func remaining(_ name: FileName, in directory: InodeNumber, at now: Duration, timeToLive: Duration) -> Duration {
        guard let answeredAt = directories[directory]?[name]?.answeredAt else { return .zero }
        return max(.zero, timeToLive - (now - answeredAt))
    }

    /// Returns whether this is one of many names of its directory.
    mutating func began(_ name: FileName, in directory: InodeNumber, at now: Duration) -> Bool {
        if directories[directory]?[name] == nil {
            if directories[directory]?.count == Self.manyNames - 1 { dropOld(of: directory, at: now) }
            if count >= Self.memoryLimit { dropAllAnswered() }
            count += 1
        }
        directories[directory, default: [:]][name, default: Probe()].begunAt = now
        return (directories[directory]?.count ?? 0) >= Self.manyNames
    }

    mutating func ended(_ name: FileName, in directory: InodeNumber, at now: Duration, isAnswered: Bool) {
        guard let begunAt = directories[directory]?[name]?.begunAt else { return }
        if isAnswered {
            directories[directory]?[name] = Probe(answeredAt: begunAt)
        } else {
            directories[directory]?[name]?.begunAt = nil
            directories[directory]?[name]?.failedAt = now
        }
    }

    /// The last answer turned out not to hold any more.
    mutating func doubt(_ name: FileName, in directory: InodeNumber) {
        directories[directory]?[name]?.answeredAt = nil
    }

    /// The directory was listed.
    mutating func forget(_ directory: InodeNumber) {
        count -= directories.removeValue(forKey: directory)?.count ?? 0
    }

    private mutating func dropOld(of directory: InodeNumber, at now: Duration) {
        guard let names = directories[directory] else { return }
        let left = names.filter { !$0.value.isOld(at: now) }
        directories[directory] = left
        count += left.count - names.count
    }

    private mutating func dropAllAnswered() {
        directories = directories.mapValues { $0.filter { $0.value.begunAt != nil } }.filter { !$0.value.isEmpty }
        count = directories.values.reduce(0) { $0 + $1.count }
    }
}

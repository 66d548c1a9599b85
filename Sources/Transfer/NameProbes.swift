import Cache

/// For which names of directories that were never listed the store was asked, one by one, and how old its answers are.
/// Decides alone; the ``Lister`` acts.
///
/// All times are those of one monotonic clock; see ``AnswerAge``. That there is no such name is an answer as well.
struct NameProbes: Sendable {
    /// Who asks for so many names of a directory is likely to ask for more: a page of a listing is the cheaper way.
    static let manyNames = 4
    /// Names count together that were asked for within so long of each other.
    static let span = Duration.seconds(60)
    /// Names that are remembered; beyond, all are forgotten but those that are asked for now.
    static let memoryLimit = 100_000

    private var directories: [InodeNumber: [FileName: AnswerAge]] = [:]
    private var count = 0

    /// A question. `hasRow`: something is known by that name. `patience` is how long the asker would wait, since the
    /// start of a probe, for news of what is known, also that there is no such name; `deadline`, where nothing is.
    func ask(
        _ name: FileName, in directory: InodeNumber, hasRow: Bool, at now: Duration, timeToLive: Duration,
        patience: Duration, deadline: Duration
    ) -> AnswerAge.Advice {
        let age = directories[directory]?[name] ?? AnswerAge()
        if !hasRow {
            guard age.answeredAt != nil else { return .wait(deadline) }
            // A name that is not there costs no further request before the answer is stale.
            if age.remaining(at: now, limit: timeToLive) > .zero { return .known }
        }
        return age.advice(at: now, limit: timeToLive, patience: patience)
    }

    /// Whether names of a directory were asked for.
    func isAbout(_ directory: InodeNumber) -> Bool { directories[directory]?.isEmpty == false }

    /// How long the answer for a name stays fresh; zero if it is not.
    func remaining(_ name: FileName, in directory: InodeNumber, at now: Duration, timeToLive: Duration) -> Duration {
        directories[directory]?[name]?.remaining(at: now, limit: timeToLive) ?? .zero
    }

    /// Returns whether this is one of many names of its directory.
    mutating func began(_ name: FileName, in directory: InodeNumber, at now: Duration) -> Bool {
        if directories[directory]?[name] == nil {
            if directories[directory]?.count == Self.manyNames - 1 { dropOld(of: directory, at: now) }
            if count >= Self.memoryLimit { dropAllAnswered() }
            count += 1
        }
        directories[directory, default: [:]][name, default: AnswerAge()].began(at: now)
        return (directories[directory]?.count ?? 0) >= Self.manyNames
    }

    mutating func ended(_ name: FileName, in directory: InodeNumber, at now: Duration, isAnswered: Bool) {
        guard directories[directory]?[name]?.begunAt != nil else { return }
        if isAnswered {
            directories[directory]?[name]?.succeeded(at: now)
        } else {
            directories[directory]?[name]?.failed(at: now)
        }
    }

    /// The last answer turned out not to hold any more.
    mutating func doubt(_ name: FileName, in directory: InodeNumber) {
        directories[directory]?[name]?.doubt()
    }

    /// The directory was listed.
    mutating func forget(_ directory: InodeNumber) {
        count -= directories.removeValue(forKey: directory)?.count ?? 0
    }

    private mutating func dropOld(of directory: InodeNumber, at now: Duration) {
        guard let names = directories[directory] else { return }
        let left = names.filter { !Self.isOld($0.value, at: now) }
        directories[directory] = left
        count += left.count - names.count
    }

    private static func isOld(_ age: AnswerAge, at now: Duration) -> Bool {
        age.begunAt == nil && now - max(age.answeredAt ?? .zero, age.failedAt ?? .zero) >= span
    }

    private mutating func dropAllAnswered() {
        directories = directories.mapValues { $0.filter { $0.value.begunAt != nil } }.filter { !$0.value.isEmpty }
        count = directories.values.reduce(0) { $0 + $1.count }
    }
}

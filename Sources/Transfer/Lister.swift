import Cache
import Logging
import ObjectStore
import Platform
import Synchronization

/// Keeps the names in the journal up to those in the bucket: lists a directory when somebody asks and what is known is
/// too old (``DirectoryFreshness``). Callers that want the same directory share one listing.
public final class Lister: Sendable {
    /// Told once, nil for success; on any thread.
    public typealias Completion = @Sendable (StoreError?) -> Void

    let store: any ObjectStore
    let journal: Journal
    let time: any TimeSource
    let timeToLive: Duration
    private let defaults: RemoteDefaults
    private let listed: ListedAttributes
    private let isOpenForWriting: @Sendable (InodeNumber) -> Bool
    private let onChange: @Sendable ([BucketChange]) -> Void
    let logger: Logger
    private let state: Mutex<State>
    let probing = Mutex(Probing())
    let walks = Mutex(WalkAhead())

    private struct State {
        var ages: DirectoryAges
        var underWay: [InodeNumber: Listing] = [:]
        /// Of the directories that have any: keys that no path can name, as was told.
        var unnameable: [InodeNumber: Int] = [:]
    }

    /// A listing under way.
    private struct Listing {
        var completions: [Completion] = []
        var followers: [any ListingFollower] = []

        mutating func join(_ completion: @escaping Completion, _ follower: (any ListingFollower)?) {
            completions.append(completion)
            guard let follower, !followers.contains(where: { $0 === follower }) else { return }
            followers.append(follower)
        }
    }

    /// Beyond so many listings under way none begins that nobody waits for: the next question will begin it.
    private static let backgroundLimit = 32
    /// What is listed ahead is given up behind so many pages if there are more and nobody has come to wait for them.
    private static let pagesAhead = 4
    private static let givenUp = StoreError(.cancelled, message: "nobody waits for the rest of a long listing")
    /// Directories of a tree that are listed at a time.
    private static let treeConcurrency = 16

    /// What a former process of this boot listed stays as fresh as it was. `isOpenForWriting` is asked inside of journal
    /// transactions.
    public init(
        store: any ObjectStore, journal: Journal, time: any TimeSource, timeToLive: Duration,
        defaults: RemoteDefaults, logger: Logger, listed: ListedAttributes,
        isOpenForWriting: @escaping @Sendable (InodeNumber) -> Bool,
        onChange: @escaping @Sendable ([BucketChange]) -> Void
    ) throws {
        self.store = store
        self.journal = journal
        self.listed = listed
        self.isOpenForWriting = isOpenForWriting
        self.time = time
        self.timeToLive = timeToLive
        self.defaults = defaults
        self.logger = logger
        self.onChange = onChange
        let now = time.monotonic
        var ages = DirectoryAges()
        for (directory, listedAt) in try journal.read({ try $0.listings(after: now - timeToLive, through: now) }) {
            ages[directory] = DirectoryFreshness(listedAt: listedAt)
        }
        state = Mutex(State(ages: ages))
    }

    /// A question about a directory that was listed once: begins a listing if one is due. Returns how long to wait for
    /// it, by ``refresh(_:then:)``; nil: what is known will do.
    ///
    /// `patience` is how long the caller would wait since the start of a listing; zero: not at all.
    public func consult(_ directory: InodeNumber, patience: Duration) -> Duration? {
        let now = time.monotonic
        let answer = state.withLock { state -> AnswerAge.Advice in
            let answer = state.ages[directory].ask(at: now, timeToLive: timeToLive, patience: patience)
            return answer == .knownAndAsk && state.underWay.count >= Self.backgroundLimit ? .known : answer
        }
        switch answer {
        case .known: return nil
        case .knownAndAsk:
            refresh(directory)
            return nil
        case .wait(let limit): return limit
        }
    }

    /// How long what is known of a directory stays fresh; zero if it is not.
    public func remainingFreshness(of directory: InodeNumber) -> Duration {
        let now = time.monotonic
        return state.withLock { $0.ages[directory].remaining(at: now, timeToLive: timeToLive) }
    }

    /// When the store was last heard of in the listing of a directory that is under way, by the monotonic clock; nil if
    /// there is none.
    public func lastProgress(of directory: InodeNumber) -> Duration? {
        let now = time.monotonic
        return state.withLock { $0.ages[directory].lastProgress(at: now) }
    }

    /// A directory that was made here has no names in the bucket but those made here.
    public func markFresh(_ directory: InodeNumber) {
        note(directory) { $0.succeeded(at: $1) }
    }

    /// Lists a directory, or joins a listing under way. `follower` is told of the names that come from now on, if the
    /// directory was never listed before.
    public func refresh(
        _ directory: InodeNumber, follower: (any ListingFollower)? = nil,
        then completion: @escaping Completion = { _ in }
    ) {
        let isFirst = state.withLock { state in
            let isFirst = state.underWay[directory] == nil
            state.underWay[directory, default: Listing()].join(completion, follower)
            return isFirst
        }
        if isFirst { begin(directory) }
    }

    /// Lists a directory that nobody waits for, unless it is being listed or too many are.
    func listAhead(_ directory: InodeNumber) {
        let isFirst = state.withLock { state in
            guard state.underWay[directory] == nil, state.underWay.count < Self.backgroundLimit else { return false }
            state.underWay[directory] = Listing()
            return true
        }
        if isFirst { begin(directory) }
    }

    private func begin(_ directory: InodeNumber) {
        note(directory) { $0.began(at: $1) }
        listingBegins(directory)
        Task {
            let error = await list(directory)
            listingEnded(directory, isComplete: error == nil)
            guard error != Self.givenUp else { return }
            note(directory) { error == nil ? $0.succeeded(at: $1) : $0.failed(at: $1) }
            let listing = state.withLock { $0.underWay.removeValue(forKey: directory) }
            for completion in listing?.completions ?? [] { completion(error) }
        }
    }

    /// Ends a listing that nobody waits for, as if it had not begun; false if somebody does.
    private func giveUp(_ directory: InodeNumber) -> Bool {
        state.withLock { state in
            guard state.underWay[directory]?.completions.isEmpty == true else { return false }
            state.underWay[directory] = nil
            state.ages[directory] = DirectoryFreshness()
            return true
        }
    }

    private func note(_ directory: InodeNumber, _ event: (inout DirectoryFreshness, _ now: Duration) -> Void) {
        let now = time.monotonic
        state.withLock { event(&$0.ages[directory], now) }
    }

    /// Lists every directory at or below `top` that was never listed.
    public func completeTree(_ top: InodeNumber, then completion: @escaping Completion) {
        Task {
            completion(await listUnlisted(under: top))
        }
    }

    private func listUnlisted(under top: InodeNumber) async -> StoreError? {
        while true {
            let directories: [InodeNumber]
            do {
                directories = try journal.read { try $0.unlistedDirectories(under: top) }
            } catch {
                return failure(error)
            }
            guard !directories.isEmpty else { return nil }
            if let error = await listAll(directories) { return error }
        }
    }

    /// Some at a time; after an error none is begun any more.
    private func listAll(_ directories: [InodeNumber]) async -> StoreError? {
        await withTaskGroup(of: StoreError?.self) { group in
            var failure: StoreError?
            for (index, directory) in directories.enumerated() {
                if index >= Self.treeConcurrency { failure = await group.next() ?? nil }
                if failure != nil { break }
                group.addTask {
                    await withCheckedContinuation { done in self.refresh(directory) { done.resume(returning: $0) } }
                }
            }
            for await error in group { failure = failure ?? error }
            return failure
        }
    }

    private func list(_ directory: InodeNumber) async -> StoreError? {
        do {
            guard let prefix = try prefix(of: directory) else { return nil }
            var merge = try merge(directory, prefix)
            var progress = ListingProgress()
            var pages = 0
            note(directory) { $0.asked(at: $1) }
            var page = try await page(of: prefix, from: nil)
            while true {
                try progress.take(page)
                note(directory) { $0.received(at: $1) }
                guard let continuation = page.continuation else { break }
                pages += 1
                if pages >= Self.pagesAhead, giveUp(directory) { throw Self.givenUp }
                // While one page is taken in, the next one is on its way.
                async let next = self.page(of: prefix, from: continuation)
                try apply(&merge) { try $0.apply(page, in: $1) }
                for follower in followers(of: directory) { follower.gotOn() }
                note(directory) { $0.asked(at: $1) }
                page = try await next
            }
            try apply(&merge) { try $0.apply(page, in: $1) }
            while try !apply(&merge, { try $0.finish(in: $1) }) {}
            tellOfUnnameable(merge)
            return nil
        } catch {
            return failure(error)
        }
    }

    private func followers(of directory: InodeNumber) -> [any ListingFollower] {
        state.withLock { $0.underWay[directory]?.followers ?? [] }
    }

    private func page(of prefix: String, from continuation: String?) async throws(StoreError) -> ListPage {
        try await store.list(prefix: prefix, delimiter: "/", continuation: continuation, limit: 1000)
    }

    /// Of what the store is asked for from now on.
    func merge(_ directory: InodeNumber, _ prefix: String) throws -> ListingMerge {
        let (wasListed, newest) = try journal.read { (try $0.isListed(directory), try $0.lastNumber()) }
        return ListingMerge(
            directory: directory, prefix: prefix, start: journal.nextSequence(), begunAt: time.monotonic,
            defaults: defaults, time: time.wall, wasListed: wasListed, newest: newest,
            isOpenForWriting: isOpenForWriting)
    }

    /// Once, and again when their number changes.
    private func tellOfUnnameable(_ merge: ListingMerge) {
        let count = merge.unnameable == 0 ? nil : merge.unnameable
        let isNews = state.withLock { state in
            defer { state.unnameable[merge.directory] = count }
            return count != nil && state.unnameable[merge.directory] != count
        }
        guard isNews else { return }
        logger.warning(
            "keys that no path can name are left out",
            metadata: ["prefix": "\(merge.prefix)", "count": "\(merge.unnameable)"])
    }

    /// Throws if the directory has another path by now: its listing says nothing of it then. An error ends the listing.
    func apply<Value>(
        _ merge: inout ListingMerge, _ step: (inout ListingMerge, JournalTransaction) throws -> Value
    ) throws -> Value {
        let value = try journal.write { transaction in
            guard try prefix(of: merge.directory, in: transaction) == merge.prefix else {
                throw StoreError(.conflict, message: "the directory was renamed while it was listed")
            }
            let value = try step(&merge, transaction)
            let added = merge.takeAdded()
            for follower in followers(of: merge.directory) { follower.added(added) }
            return value
        }
        listed.except(merge.takeNews())
        let changes = merge.takeChanges()
        if !changes.isEmpty { onChange(changes) }
        return value
    }

    func prefix(of directory: InodeNumber) throws -> String? {
        try journal.read { try prefix(of: directory, in: $0) }
    }

    private func prefix(of directory: InodeNumber, in transaction: JournalTransaction) throws -> String? {
        guard let path = try transaction.path(of: directory) else { return nil }
        return path.isEmpty ? "" : path + "/"
    }

    func failure(_ error: any Error) -> StoreError {
        error as? StoreError ?? StoreError(.localFault, message: "\(error)")
    }
}

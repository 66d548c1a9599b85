import Cache
import Logging
import ObjectStore
import Platform
import Synchronization

/// Keeps the names in the journal up to those in the bucket: lists a directory when somebody asks and what is known
/// is older than the time to live. Callers that want the same directory share one listing.
public final class Lister: Sendable {
    /// Told once, nil for success; on any thread.
    public typealias Completion = @Sendable (StoreError?) -> Void

    private let store: any ObjectStore
    private let journal: Journal
    private let time: any TimeSource
    private let timeToLive: Duration
    private let defaults: RemoteDefaults
    private let onChange: @Sendable ([BucketChange]) -> Void
    private let logger: Logger
    private let state = Mutex(State())

    private struct State {
        /// When directories were last listed, by the monotonic clock.
        var listed: [InodeNumber: Duration] = [:]
        /// When listings were last begun in the background.
        var begun: [InodeNumber: Duration] = [:]
        var underWay: [InodeNumber: [Completion]] = [:]
    }

    /// Directories whose freshness is remembered; more, and all are taken for stale.
    private static let memoryLimit = 100_000

    public init(
        store: any ObjectStore, journal: Journal, time: any TimeSource, timeToLive: Duration,
        defaults: RemoteDefaults, logger: Logger, onChange: @escaping @Sendable ([BucketChange]) -> Void
    ) {
        self.store = store
        self.journal = journal
        self.time = time
        self.timeToLive = timeToLive
        self.defaults = defaults
        self.logger = logger
        self.onChange = onChange
    }

    /// Whether the names were listed within the time to live.
    public func isFresh(_ directory: InodeNumber) -> Bool {
        let now = time.monotonic
        return state.withLock { state in
            state.listed[directory].map { now - $0 < timeToLive } ?? false
        }
    }

    /// A directory that was made here has no names in the bucket but those made here.
    public func markFresh(_ directory: InodeNumber) {
        let now = time.monotonic
        state.withLock { state in
            if state.listed.count >= Self.memoryLimit { state.listed = [:] }
            state.listed[directory] = now
        }
    }

    /// Begins a listing in the background if what is known is older than the time to live; at most once in that
    /// time, also when it fails.
    public func refreshIfStale(_ directory: InodeNumber) {
        let now = time.monotonic
        let isDue = state.withLock { state in
            let last = max(state.listed[directory] ?? .zero, state.begun[directory] ?? .zero)
            guard now - last >= timeToLive || last == .zero else { return false }
            if state.begun.count >= Self.memoryLimit { state.begun = [:] }
            state.begun[directory] = now
            return true
        }
        if isDue { refresh(directory) }
    }

    /// Lists a directory, or joins a listing under way.
    public func refresh(_ directory: InodeNumber, then completion: @escaping Completion = { _ in }) {
        let isFirst = state.withLock { state in
            defer { state.underWay[directory, default: []].append(completion) }
            return state.underWay[directory] == nil
        }
        guard isFirst else { return }
        Task {
            let error = await list(directory)
            if error == nil { markFresh(directory) }
            let waiting = state.withLock { $0.underWay.removeValue(forKey: directory) ?? [] }
            for completion in waiting { completion(error) }
        }
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
            for directory in directories {
                if let error = await list(directory) { return error }
                markFresh(directory)
            }
        }
    }

    private func list(_ directory: InodeNumber) async -> StoreError? {
        do {
            guard let prefix = try prefix(of: directory) else { return nil }
            var merge = ListingMerge(
                directory: directory, prefix: prefix, start: journal.nextSequence(), defaults: defaults,
                time: time.wall, wasListed: try journal.read { try $0.listed(directory) } != nil)
            var continuation: String?
            repeat {
                let page = try await store.list(
                    prefix: prefix, delimiter: "/", continuation: continuation, limit: 1000)
                try apply(&merge) { try $0.apply(page, in: $1) }
                continuation = page.continuation
            } while continuation != nil
            try apply(&merge) { try $0.finish(in: $1) }
            if merge.unnameable > 0 {
                logger.warning(
                    "keys that no path can name are left out",
                    metadata: ["prefix": "\(prefix)", "count": "\(merge.unnameable)"])
            }
            return nil
        } catch {
            return failure(error)
        }
    }

    /// Does nothing if the directory has another path by now: its listing says nothing of it then.
    private func apply(
        _ merge: inout ListingMerge, _ step: (inout ListingMerge, JournalTransaction) throws -> Void
    ) throws {
        let next = try journal.write { transaction in
            var next = merge
            guard try prefix(of: next.directory, in: transaction) == next.prefix else {
                throw StoreError(.conflict, message: "the directory was renamed while it was listed")
            }
            try step(&next, transaction)
            return next
        }
        merge = next
        let changes = merge.takeChanges()
        if !changes.isEmpty { onChange(changes) }
    }

    private func prefix(of directory: InodeNumber) throws -> String? {
        try journal.read { try prefix(of: directory, in: $0) }
    }

    private func prefix(of directory: InodeNumber, in transaction: JournalTransaction) throws -> String? {
        guard let path = try transaction.path(of: directory) else { return nil }
        return path.isEmpty ? "" : path + "/"
    }

    private func failure(_ error: any Error) -> StoreError {
        error as? StoreError ?? StoreError(.localFault, message: "\(error)")
    }
}

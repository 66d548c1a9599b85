import Cache
import FileSystem
import Logging
import ObjectStore
import Platform
import Transfer

/// Everything between a bucket and the kernel, wired: the layers, and the order in which they start and stop.
///
/// The order of a start is that of the declarations: local state first, then what talks to the bucket, then what
/// serves programs. The order of an end is the reverse.
final class Engine: Sendable {
    /// What the parts need to be told.
    struct Settings: Sendable {
        var fileSystem = FileSystemOptions()
        var limits: CacheLimits
        /// Bytes of the disk that the journal holds ahead.
        var journalReserve: Int64
        var writeback: WritebackConfiguration
        var defaults: RemoteDefaults
        var flushInterval: Duration
        var downloadConcurrency: Int
        /// Whether the root of a bucket that was never reached lists what was made here, until the bucket is.
        var startsUnlisted = false
    }

    /// Of a request, until it is asked whether the store can still be reached: longer than a store takes to answer and a
    /// mobile link to change cells, short enough to know within seconds.
    private static let silence = Duration.seconds(3)

    let journal: Journal
    let cache: FileCache
    let link: LinkMonitor
    let fetcher: Fetcher
    let writeback: Writeback
    let fileSystem: FileSystem
    private let flusher: Flusher
    /// Locked as long as the engine lives.
    private let state: StateDirectory
    private let observed: ObservedStore

    /// Opens the state directory's journal and data files, recovers what a former process left, and starts to bring
    /// the bucket up to it.
    ///
    /// - Parameters:
    ///   - source: the bucket's name; a state directory of another bucket is refused.
    ///   - failure: why the store could not be reached just now: the mount starts offline.
    init(
        _ settings: Settings, source: String, store: any ObjectStore, state: StateDirectory, failure: StoreError?,
        time: any TimeSource, logger: Logger
    ) throws {
        self.state = state
        journal = try Journal(path: state.journalPath, reserve: settings.journalReserve)
        try Self.claim(journal, for: source, state)
        cache = try FileCache(
            journal: journal, disk: state.disk, limits: settings.limits, time: time, boot: .current(), logger: logger)
        do { try journal.replenish() } catch {
            logger.warning("no space to hold ahead for the journal", metadata: ["error": "\(error)"])
        }
        link = LinkMonitor(time: time, silence: Self.silence, logger: logger)
        observed = ObservedStore(store, link: link)
        let (link, changes) = (link, ChangeFeed())
        let listed = ListedAttributes(settings.fileSystem.attributes, journal: journal, logger: logger)
        fetcher = Fetcher(
            store: observed, cache: cache, time: time, concurrency: settings.downloadConcurrency, logger: logger,
            listed: listed, isOnline: { !link.isOffline })
        let lister = try Lister(
            store: observed, journal: journal, time: time, timeToLive: settings.fileSystem.metadataTimeToLive,
            defaults: settings.defaults, logger: logger, listed: listed, isOpenForWriting: cache.isOpenForWriting,
            onChange: changes.report)
        let fetcher = fetcher
        let writeback = Writeback(
            store: observed, cache: cache, link: link, configuration: settings.writeback, time: time, logger: logger,
            materialize: { try await fetcher.materialize($0, $1) }, onChange: changes.report)
        self.writeback = writeback
        fetcher.takeSuccessors { [weak writeback] in writeback?.isSuccessor($0, of: $1, for: $2) ?? false }
        flusher = Flusher(cache: cache, interval: settings.flushInterval, logger: logger) {
            writeback.lookAtOpenFiles()
        }
        fileSystem = try FileSystem(
            cache: cache, fetcher: fetcher, lister: lister,
            metadata: MetadataLoader(store: observed, cache: cache, fetcher: fetcher, listed: listed),
            listed: listed, writeback: writeback, link: link,
            defaults: settings.defaults, options: settings.fileSystem, time: time, logger: logger)
        if settings.startsUnlisted { try Self.listRoot(journal) }
        let fileSystem = fileSystem
        changes.listen { fileSystem.bucketChanged($0) }
        link.start(probing: store)
        if let failure { link.assumeOffline(failure) }
        if !settings.fileSystem.isReadOnly { try writeback.start() }
    }

    /// Ends all work in the background. What is not in the bucket is safe in the state directory.
    func stop() async throws {
        link.stop()
        await writeback.stop()
        flusher.stop()
        try journal.close()
    }

    private static func listRoot(_ journal: Journal) throws {
        try journal.write { transaction in
            if try !transaction.isListed(.root) { try transaction.setListed(.root, at: .zero) }
        }
    }

    private static func claim(_ journal: Journal, for source: String, _ state: StateDirectory) throws {
        let owner = try journal.write { transaction in
            let owner = try transaction.property("source")
            if owner == nil { try transaction.setProperty("source", source) }
            return owner ?? source
        }
        guard owner == source else {
            throw CacheError.unusable(
                "the state directory \(state.path) belongs to \(owner): mount that, or name another --state-dir")
        }
    }
}

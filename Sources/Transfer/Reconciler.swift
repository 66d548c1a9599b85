import Cache
import Logging
import ObjectStore
import Platform
import Synchronization

/// Brings the bucket up to the journal, one inode or one tombstone at a time: what to do, never when.
///
/// Every step journals its intention, acts on the store, and journals the outcome in one transaction: after a crash
/// at any point the same inode reconciled again ends in the same state. A lost answer is recognised by the token that
/// the object carries.
///
/// Thread rule: any task, several inodes at once; one inode by one task at a time.
final class Reconciler: Sendable {
    struct Settings: Sendable {
        /// In the names of conflict copies.
        var host: String
        /// For objects of others that are learnt of by a conflict.
        var defaults: RemoteDefaults
        /// Larger files go in parts, bytes.
        var singlePutLimit = PartPlan.defaultSinglePutLimit
        /// Smallest part wished for, bytes.
        var partSize: Int64 = 8 << 20
        /// See ``WritebackConfiguration/concurrency``.
        var concurrency = 4
        /// See ``WritebackConfiguration/partConcurrency``.
        var partConcurrency = 8
        /// Attributes that objects get.
        var metadata = MetadataPolicy.full
        /// See ``WritebackConfiguration/idleDelay``.
        var idleDelay = Duration.seconds(30)
        /// Between two looks at an upload without parts that may be ours or another machine's.
        var strayPause = Duration.seconds(10)
        /// What is known of the store's conditions besides what the journal says.
        var conditions = ConditionSupport.trusted
    }

    enum Outcome: Equatable, Sendable {
        case done
        /// A program goes on writing; the bucket has the file as it was at a moment after the start.
        case isWritten
        /// A program has the file open for writing; of one that is larger than this, more can be sent.
        case grows(Int64)
        case waits(for: InodeNumber)
        /// Another inode's content goes first, when its time has come.
        case follows(InodeNumber)
        /// Something stands in the way that time may clear: try again later.
        case unsettled
    }

    /// Steps that one inode may take at once; more mean that it does not come to rest.
    private static let stepLimit = 12

    let store: any ObjectStore
    private let conditional: ConditionalStore
    let cache: FileCache
    let settings: Settings
    let time: any TimeSource
    let logger: Logger
    /// Makes every byte of a range of a file local.
    let materialize: @Sendable (CachedFile, Range<Int64>) async throws -> Void
    /// Told of changes that no program of this machine made; called under no lock.
    let onChange: @Sendable ([BucketChange]) -> Void
    /// Makes an unguessable text, different each time.
    let makeToken: @Sendable () -> String
    let partCopies = PartCopies()
    /// Of all files: they share the link.
    let partPace: Mutex<PartPace>
    private let largeTransfers: LargeTransfers
    private let locks = KeyLocks()

    init(
        store: any ObjectStore,
        cache: FileCache,
        settings: Settings,
        time: any TimeSource,
        logger: Logger,
        makeToken: @escaping @Sendable () -> String = Reconciler.randomToken,
        materialize: @escaping @Sendable (CachedFile, Range<Int64>) async throws -> Void,
        onChange: @escaping @Sendable ([BucketChange]) -> Void
    ) {
        conditional = Self.conditional(
            JournaledStore(store, journal: cache.journal), settings.conditions, cache.journal, logger)
        self.store = conditional
        self.cache = cache
        self.settings = settings
        partPace = Mutex(PartPace(most: settings.partConcurrency))
        largeTransfers = LargeTransfers(atOnce: settings.concurrency)
        self.time = time
        self.logger = logger
        self.makeToken = makeToken
        self.materialize = materialize
        self.onChange = onChange
    }

    var journal: Journal { cache.journal }

    /// What the store's conditions are worth.
    var conditions: ConditionSupport { conditional.support }

    private static let conditionsProperty = "conditions"

    private static func conditional(
        _ store: any ObjectStore, _ support: ConditionSupport, _ journal: Journal, _ logger: Logger
    ) -> ConditionalStore {
        var support = support
        // A journal that cannot be read fails elsewhere; here it means that nothing is known.
        let text = try? journal.read { try $0.property(conditionsProperty) }
        if !support.isProven, let text { support = ConditionSupport(text: text) }
        return ConditionalStore(store, support: support, logger: logger) { support in
            do {
                try journal.write { try $0.setProperty(conditionsProperty, support.text) }
            } catch {
                logger.error("recording what the store can failed", metadata: ["error": "\(error)"])
            }
        }
    }

    static let randomToken: @Sendable () -> String = {
        (0..<2).map { _ in
            let digits = String(UInt64.random(in: 0...UInt64.max), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}

// MARK: One inode

extension Reconciler {
    /// Does all that an inode needs. Throws what a store, the cache or `materialize` threw; then nothing is lost, and
    /// a later call goes on from there.
    func reconcile(_ number: InodeNumber, isUrgent: Bool = false, progress: UploadProgress) async throws -> Outcome {
        let sequence = journal.nextSequence()
        for _ in 0..<Self.stepLimit {
            try Task.checkCancellation()
            let plan = try plan(for: number, isUrgent: isUrgent)
            switch plan {
            case .nothing: return .done
            case .clear: try clear(number)
            case .stream(let key):
                return .grows(try await withTurn(of: number) { try await stream(number, to: key, progress) })
            case .wait(let occupant):
                try markMoved(occupant)
                return .waits(for: occupant)
            case .follow(let target): return .follows(target)
            case .detach: try await detach(number)
            case .put(let key, _), .copy(_, let key, _):
                try await withTurn(of: number) {
                    try await locks.withLock(key) { try await act(on: number, at: key, isUrgent: isUrgent, progress) }
                }
                if try wasSent(number, since: sequence) { return .isWritten }
            }
        }
        return .unsettled
    }

    func withKey<Value>(_ key: ObjectKey, _ body: () async throws -> Value) async throws -> Value {
        try await locks.withLock(key, body)
    }

    private func withTurn<Value>(of number: InodeNumber, _ body: () async throws -> Value) async throws -> Value {
        // The row of a file that is being written may say less than is there.
        let size = try cache.openFile(number)?.version.size ?? journal.inode(number)?.size ?? 0
        if size <= LargeTransfers.smallSize { return try await body() }
        return try await largeTransfers.withTurn(body)
    }

    private func plan(for number: InodeNumber, isUrgent: Bool) throws -> WritebackPlan {
        // Not inside the transaction: the journal's lock is the innermost.
        let quiet = cache.quiet(number)
        guard var snapshot = try journal.read({ try $0.writebackSnapshot(of: number) }) else { return .nothing }
        snapshot.isOpenForWriting = quiet != nil
        snapshot.isTargetSent = snapshot.target.flatMap { cache.openFile($0.number) }?.isSentAsItIs ?? false
        snapshot.isQuiet = quiet.map { $0 >= settings.idleDelay } ?? false
        return WritebackPlan(snapshot, isUrgent: isUrgent)
    }

    /// Whether the bytes of a file that is still being written were sent, to this one of its names, and nothing else is left
    /// to do for it.
    private func wasSent(_ number: InodeNumber, since sequence: Int64) throws -> Bool {
        guard let inode = try journal.inode(number), cache.isOpenForWriting(inode.aliasOf ?? number) else {
            return false
        }
        return inode.remoteSequence > sequence && inode.attempt == nil
            && inode.pending.subtracting(.metadata) == .content
    }

    /// One write at a key that no other task of ours writes to now; nothing if the plan changed while it waited.
    private func act(
        on number: InodeNumber,
        at key: ObjectKey,
        isUrgent: Bool,
        _ progress: UploadProgress
    ) async throws {
        do {
            switch try plan(for: number, isUrgent: isUrgent) {
            case .put(key, let condition): try await put(number, at: key, condition, isUrgent: isUrgent, progress)
            case .copy(let source, key, let condition): try await copy(number, from: source, to: key, condition)
            default: break
            }
        } catch is UploadSource.Changed {
            // Like any change of a file that is being sent: the next plan is for its new bytes.
        }
    }

    private func clear(_ number: InodeNumber) throws {
        try journal.write { transaction in
            guard var snapshot = try transaction.writebackSnapshot(of: number),
                WritebackPlan(snapshot, isUrgent: true) == .clear
            else { return }
            snapshot.inode.pending = []
            if let attempt = snapshot.inode.attempt, attempt.key != snapshot.key {
                // It went elsewhere and came back; what an unanswered upload there may have made is not wanted.
                try transaction.bury(attempt.key, token: attempt.token)
                snapshot.inode.attempt = nil
            }
            try transaction.update(snapshot.inode)
        }
    }

    /// Another inode's object is at a key that is not its own.
    private func markMoved(_ number: InodeNumber) throws {
        try journal.write { transaction in
            guard var inode = try transaction.inode(number), !inode.pending.contains(.location) else { return }
            inode.pending.insert(.location)
            try transaction.update(inode)
        }
    }

    /// Takes an inode out of a circle: see ``WritebackPlan/detach``.
    private func detach(_ number: InodeNumber) async throws {
        guard let inode = try journal.read({ try $0.inode(number) }) else { return }
        if inode.kind == .file && inode.aliasOf == nil {
            let file = try cache.acquire(number)
            defer { cache.release(file) }
            try await makeComplete(file)
        }
        try journal.write { transaction in
            guard var snapshot = try transaction.writebackSnapshot(of: number),
                WritebackPlan(snapshot, isUrgent: true) == .detach
            else { return }
            try transaction.buryRemote(of: snapshot.inode)
            if snapshot.inode.local == .partial { snapshot.inode.local = .complete }
            snapshot.inode.remote = nil
            snapshot.inode.attempt = nil
            snapshot.inode.pending = .content
            try transaction.update(snapshot.inode)
        }
    }

    /// Makes every byte of a file local and durable.
    func makeComplete(_ file: CachedFile) async throws {
        let all = 0..<file.version.size
        try file.verify(all)
        guard !file.isComplete else { return }
        try await makeLocal(all, of: file)
        try file.synchronize()
    }

    func makeLocal(_ range: Range<Int64>, of file: CachedFile) async throws {
        if file.missing(in: range).isEmpty { return }
        try await materialize(file, range)
        guard file.missing(in: range).isEmpty else {
            throw StoreError(.badAnswer, message: "the rest of the file could not be fetched")
        }
    }
}

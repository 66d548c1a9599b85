import Logging
import ObjectStore
import Platform
import Synchronization
import SystemPackage

/// The data files of the state directory: one sparse file for each inode with local bytes.
///
/// Thread rule: any thread. Lock order: the table here, then a file's state, then the journal; never the reverse.
public final class FileCache: Sendable {
    public let journal: Journal
    public let limits: CacheLimits
    let disk: any Disk
    let time: any TimeSource
    let boot: BootIdentity
    let logger: Logger
    let table: Mutex<Table>
    let writers = OpenWriters()
    let removals: Removals
    let budget = SpaceBudget()
    /// Bytes of requests under way, admitted already.
    let expected = Atomic<Int64>(0)
    /// When room was last looked for on behalf of writers that cannot be held back, and whether it was there.
    let spare = Mutex<(at: Duration, isThere: Bool)?>(nil)
    let writersGone = Mutex<(@Sendable (InodeNumber) -> Void)?>(nil)

    struct Table {
        struct Opened {
            var file: CachedFile
            var references: Int
        }

        var open: [InodeNumber: Opened] = [:]
        /// Of these, the ones without references: see ``FileCache/lastReferenceGone(_:_:)``.
        var idle: Set<InodeNumber> = []
        /// Disk bytes of data files that are not open.
        var closedBytes: Int64 = 0
        /// Written or filled, closed, and not synced yet: what they became. Their rows say less until the next flush.
        var unsettled: [InodeNumber: FileEnd] = [:]
        /// Closed files of which a sync failed.
        var failed: [InodeNumber: Errno] = [:]
        /// When files were last opened, not journaled yet.
        var lastUsed: [InodeNumber: Timestamp] = [:]
        /// Files whose handles are closed, but mappings of them may be stored into; each with a reference.
        var lingering: Set<InodeNumber> = []
        /// Files with changes that were not opened yet since the start: programs that outlived a former process of this boot
        /// may write into them.
        var suspects: Set<InodeNumber> = []
        /// Closed files that are as in the bucket, all of whose blocks were compared since the process began.
        var checked: Set<InodeNumber> = []
        /// Of closed files with changes, some.
        var changed: [InodeNumber: ChangedRanges] = [:]
        /// Inodes without names whose rows and data are to go once they are closed.
        var doomed: Set<InodeNumber> = []
    }

    /// Opens the data files below `disk` and recovers what a former process left: see ``recover()``.
    public init(
        journal: Journal, disk: any Disk, limits: CacheLimits, time: any TimeSource, boot: BootIdentity, logger: Logger
    ) throws {
        self.journal = journal
        self.disk = disk
        self.limits = limits
        self.time = time
        self.boot = boot
        self.logger = logger
        table = Mutex(Table())
        removals = Removals(on: disk)
        try recover()
    }

    static func dataName(_ inode: InodeNumber) -> String { "\(shardName(inode))/\(inode)" }

    /// The directory that an inode's data file is in.
    static func shardName(_ inode: InodeNumber) -> String {
        let shard = String(inode.rawValue & 0xff, radix: 16)
        return "data/\(shard.count == 1 ? "0" : "")\(shard)"
    }

    static let shards = (0..<UInt64(256)).map { shardName(InodeNumber(rawValue: $0)) }

    static func rangeLogName(_ inode: InodeNumber) -> String { dataName(inode) + ".ranges" }
}

// MARK: Opening and closing

extension FileCache {
    /// The local bytes of a regular file, opened if they are not; to be given back by ``release(_:forWriting:)``.
    ///
    /// Throws ``CacheError``; ``CacheError/corrupt(_:)`` if unsent bytes that the journal knows are not there.
    public func acquire(_ number: InodeNumber, forWriting: Bool = false) throws -> CachedFile {
        try table.withLock { table in
            if let opened = table.open[number] {
                if opened.references == 0 { table.idle.remove(number) }
                table.open[number]?.references += 1
                if forWriting { writers.add(number) }
                return opened.file
            }
            guard let inode = try journal.inode(number) else {
                throw CacheError.system(.staleNFSFileHandle, during: "opening inode \(number)")
            }
            let end = table.unsettled[number]
            let file = try open(inode, unsettled: end, syncError: table.failed[number])
            if table.checked.contains(number) { file.resumeChecked() }
            if let changed = table.changed.removeValue(forKey: number) { file.resume(changed) }
            table.unsettled[number] = nil
            table.failed[number] = nil
            table.open[number] = Table.Opened(file: file, references: 1)
            if forWriting { writers.add(number) }
            table.closedBytes -= end?.allocated ?? inode.localBytes
            table.lastUsed[number] = time.wall
            lookForForeignWriters(file, &table)
            return file
        }
    }

    /// The local bytes of a file that was journaled just now and never opened.
    public func acquireNew(_ inode: Inode, forWriting: Bool) throws -> CachedFile {
        try table.withLock { table in
            do {
                let file = try assemble(inode, disk.open(Self.dataName(inode.number), .truncated), size: 0, isNew: true)
                table.open[inode.number] = Table.Opened(file: file, references: 1)
                if forWriting { writers.add(inode.number) }
                return file
            } catch let errno as Errno {
                throw CacheError.system(errno, during: "creating the data file of inode \(inode.number)")
            }
        }
    }

    /// One more reference to a file that the caller holds open.
    public func retain(_ file: CachedFile) {
        table.withLock { $0.open[file.inode]?.references += 1 }
    }

    /// Gives back one reference of ``acquire(_:forWriting:)``, with the same `forWriting`.
    public func release(_ file: CachedFile, forWriting: Bool = false) {
        table.withLock { table in
            guard let opened = table.open[file.inode] else { return }
            table.open[file.inode]?.references -= 1
            if forWriting { writers.remove(file.inode) }
            if opened.references == 1 { lastReferenceGone(file, &table) }
        }
    }

    /// The file if it is open now, without a reference of its own.
    public func openFile(_ number: InodeNumber) -> CachedFile? {
        table.withLock { $0.open[number]?.file }
    }

    /// Size in bytes and time of the last change of a file whose row may not say them yet.
    public func status(of number: InodeNumber) -> (size: Int64, modified: Timestamp)? {
        let (file, end) = table.withLock { ($0.open[number]?.file, $0.unsettled[number]) }
        return file?.status ?? end.map { ($0.size, $0.modified) }
    }

    /// Open files with bytes that only the object at `key` has.
    public func partialFiles(of key: ObjectKey) -> [InodeNumber] {
        let open = table.withLock { $0.open.values.map(\.file) }
        return open.filter { !$0.isComplete && $0.base?.key == key }.map(\.inode)
    }

    /// Whether a program holds the file open for writing, or mapped. May be asked inside of a journal transaction;
    /// elsewhere ``hasWriters(_:)`` knows better.
    public func isOpenForWriting(_ number: InodeNumber) -> Bool { writers.contains(number) }

    /// How long nothing was written to a file into which programs write; zero if it is in the bucket all the same, nil if
    /// nobody writes into it. As ``hasWriters(_:)``.
    public func quiet(_ number: InodeNumber) -> Duration? {
        guard hasWriters(number), let file = openFile(number) else { return nil }
        return file.isSentAsItIs ? .zero : time.monotonic - file.lastChange
    }

    /// Those that programs hold open for writing.
    public var filesOpenForWriting: [CachedFile] {
        table.withLock { table in
            writers.all.compactMap { table.open[$0]?.file }
        }
    }

    /// An inode lost its last name and the kernel knows it no more: its row and its data go once it is closed.
    public func remove(_ number: InodeNumber) {
        _ = table.withLock { $0.doomed.insert(number) }
    }

    /// The object of a file was copied without a change of its bytes: `commit` writes that into the journal, and may
    /// call nothing but the journal. What is local of the file stays local.
    public func rebase(_ number: InodeNumber, on object: RemoteObject, commit: () throws -> Void) throws {
        try table.withLock { table in
            guard let file = try table.open[number]?.file ?? openPartial(number, table) else { return try commit() }
            try file.rebase(on: object, commit: commit)
        }
    }

    /// A file that is not open, if it has a range log.
    private func openPartial(_ number: InodeNumber, _ table: borrowing Table) throws -> CachedFile? {
        guard let inode = try journal.inode(number), inode.local == .partial else { return nil }
        return try open(inode, unsettled: table.unsettled[number], syncError: table.failed[number])
    }

    private func open(_ inode: Inode, unsettled: FileEnd?, syncError: Errno?) throws -> CachedFile {
        do {
            let file = try inode.local == .none ? create(inode, isReplaced: false) : openExisting(inode, unsettled)
            if let syncError { file.resume(after: syncError) }
            return file
        } catch Errno.structureNeedsCleaning {
            throw CacheError.corrupt(
                "the bytes of inode \(inode.number): \(Self.text(.structureNeedsCleaning)); \(Self.dataName(inode.number))"
                    + " is not used")
        } catch let errno as Errno {
            throw CacheError.system(errno, during: "opening the data file of inode \(inode.number)")
        }
    }

    /// `isReplaced`: another data file was there, whose range log may be as well.
    private func create(_ inode: Inode, isReplaced: Bool) throws -> CachedFile {
        guard inode.remote != nil || inode.size == 0 else {
            throw CacheError.corrupt("inode \(inode.number) has unsent bytes but no data file")
        }
        var inode = inode
        inode.local = inode.remote == nil ? .complete : .partial
        try disk.remove(Self.rangeLogName(inode.number))
        try removals.settle(inode.number, isReplaced: isReplaced)
        let file = try disk.open(Self.dataName(inode.number), .truncated)
        try file.truncate(to: inode.size)
        try journal.write { try $0.update(inode) }
        return try assemble(inode, file, size: inode.size, isNew: true)
    }

    private func openExisting(_ inode: Inode, _ unsettled: FileEnd?) throws -> CachedFile {
        do {
            let file = try disk.open(Self.dataName(inode.number), .existing)
            let size = try file.status().size
            if inode.pending.contains(.content), size < inode.size {
                throw CacheError.corrupt("the data file of inode \(inode.number): \(Self.tooShort(size, inode))")
            }
            if size == inode.size || inode.pending.contains(.content) {
                return try assemble(inode, file, size: size, unsettled)
            }
            logger.warning(
                "cached bytes have the wrong size and are fetched again",
                metadata: ["ino": "\(inode.number)", "size": "\(size)", "expected": "\(inode.size)"])
        } catch Errno.noSuchFileOrDirectory {
            if inode.pending.contains(.content), inode.size > 0 {
                throw CacheError.corrupt("the unsent bytes of inode \(inode.number) are gone")
            }
        } catch Errno.structureNeedsCleaning where inode.remote != nil && !inode.pending.contains(.content) {
            try quarantine([Self.dataName(inode.number)])
        }
        return try create(inode, isReplaced: true)
    }

    private func assemble(
        _ inode: Inode, _ file: any DiskFile, size: Int64, _ unsettled: FileEnd? = nil, isNew: Bool = false
    ) throws -> CachedFile {
        var extents = FileExtents.complete
        var log: RangeLog?
        var unrecordedCut: Int64?
        if inode.local == .partial, let remote = inode.remote {
            extents = FileExtents(baseLimit: remote.size)
            log = try RangeLog.open(
                Self.rangeLogName(inode.number), on: disk, version: remote.etag, boot: boot, extents: &extents)
            if unsettled?.isWhole == true {
                let all = RangeLogRecord.present(0..<remote.size)
                extents.apply(all)
                if log?.isInMemory == true { log?.defer(all) }
            }
            if size < extents.baseLimit { unrecordedCut = size }
            extents.apply(.limit(size))
        }
        let isUnsynced = isNew || unsettled != nil || log?.wasSynced == false
        return CachedFile(
            inode: inode.number, file: file, disk: disk, journal: journal, time: time, boot: boot, logger: logger,
            state: CachedFile.State(
                size: size, modified: unsettled?.modified ?? inode.modified,
                isDirty: inode.pending.contains(.content), lastChange: time.monotonic, extents: extents,
                base: inode.remote, log: log, unrecordedCut: unrecordedCut,
                checksums: BlockChecksums(isStored: !inode.pending.contains(.content)),
                written: isUnsynced ? 1 : 0,
                // That of a file which is partly local may be from a process that died before it synced anything.
                hasUnsyncedName: isUnsynced || log != nil, durableSize: isNew ? 0 : min(size, inode.size)
            ))
    }
}

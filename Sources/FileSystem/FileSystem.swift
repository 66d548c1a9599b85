import Cache
import Logging
import ObjectStore
import Platform
import Synchronization
import SystemPackage
import Transfer

/// swift-system has a type of the same name.
typealias Inode = Cache.Inode

/// The file system: names, inodes, handles and their semantics over the journal and the data files. Knows no kernel
/// types, no C and no S3.
///
/// Thread rule: any thread. The table of handles and references is a leaf lock, never held across a call to the
/// cache, the journal or the kernel. What one journal transaction reads and writes is atomic; semantics are decided
/// inside of it.
public final class FileSystem: FileSystemOperations {
    let cache: FileCache
    let journal: Journal
    let fetcher: Fetcher
    let lister: Lister
    let metadata: MetadataLoader
    let listed: ListedAttributes
    let writeback: Writeback
    let link: LinkMonitor
    let options: FileSystemOptions
    let time: any TimeSource
    let logger: Logger
    let space: SpaceQueue
    let paths: OpenPaths
    let table = Mutex(Table())
    let forecast = Mutex(ReadForecast())
    let lookAhead = Mutex(LookAhead())
    private let kernel = Mutex<(any KernelCache)?>(nil)

    struct Table {
        var lastHandle: UInt64 = 0
        var files: [HandleNumber: OpenFile] = [:]
        var directories: [HandleNumber: DirectoryStream] = [:]
        /// References of the kernel.
        var references = ReferenceCounts()
        /// Inodes without a name that the kernel still refers to.
        var unlinked: Set<InodeNumber> = []

        mutating func nextHandle() -> HandleNumber {
            lastHandle += 1
            return HandleNumber(rawValue: lastHandle)
        }
    }

    public init(
        cache: FileCache, fetcher: Fetcher, lister: Lister, metadata: MetadataLoader, listed: ListedAttributes,
        writeback: Writeback, link: LinkMonitor, defaults: RemoteDefaults, options: FileSystemOptions,
        time: any TimeSource, logger: Logger
    ) throws {
        self.cache = cache
        journal = cache.journal
        self.fetcher = fetcher
        self.lister = lister
        self.metadata = metadata
        self.listed = listed
        self.writeback = writeback
        self.link = link
        self.options = options
        self.time = time
        self.logger = logger
        paths = OpenPaths(cache: cache, logger: logger)
        let events = FullDiskEvents(cache: cache, limit: options.fullWait, time: time, logger: logger)
        space = SpaceQueue(
            limit: options.fullWait, time: time,
            surroundings: SpaceQueue.Surroundings(
                progress: { writeback.lastProgress }, hurry: { writeback.hurry() }, refused: events.refused))
        let delay = options.uploadDelay
        cache.whenWritersAreGone { [weak writeback] in writeback?.schedule($0, after: delay) }
        try makeRoot(defaults)
    }

    /// Where the kernel's caches are told of changes in the bucket; before, nobody is told. `passthrough`: what moves bytes
    /// past this process; nil: nothing does.
    public func attach(_ kernel: any KernelCache, passthrough: (any KernelPassthrough)? = nil) {
        self.kernel.withLock { $0 = kernel }
        paths.attach(passthrough)
    }

    /// What others changed; to be called under no lock.
    public func bucketChanged(_ changes: [BucketChange]) {
        let kernel = kernel.withLock { $0 }
        for change in changes {
            switch change {
            case .name(let name, let directory): kernel?.invalidate(name, in: directory)
            case .attributes(let inode): kernel?.invalidate(inode)
            case .removed(let inode): lostLastName(inode)
            }
        }
    }

    /// The kernel's pages of an inode are of no use. To be called under no lock.
    func forgetPages(of inode: InodeNumber) { kernel.withLock { $0 }?.invalidate(inode) }

    /// The kernel asks again after at most a second, so that it is the journal's listing that decides.
    var timeToLive: Duration { min(options.metadataTimeToLive, .seconds(1)) }

    private func makeRoot(_ defaults: RemoteDefaults) throws {
        try journal.write { transaction in
            guard try transaction.inode(.root) == nil else { return }
            let root = try transaction.insertInode { number in
                Inode(
                    number: number, kind: .directory, permissions: defaults.directoryPermissions,
                    userID: defaults.userID, groupID: defaults.groupID, time: time.wall)
            }
            precondition(root.number == .root, "the root is the first inode of a journal")
        }
    }
}

// MARK: Journal

extension FileSystem {
    func read<Value>(_ body: (JournalTransaction) throws -> Value) throws(Errno) -> Value {
        do {
            return try journal.read(body)
        } catch {
            throw failure(error)
        }
    }

    /// One change by a program: atomic, and surviving the death of the process when it returns.
    func change<Value>(_ body: (JournalTransaction) throws -> Value) throws(Errno) -> Value {
        guard !options.isReadOnly else { throw .readOnlyFileSystem }
        do {
            return try journal.write(isAcknowledged: true, body)
        } catch {
            throw failure(error)
        }
    }

    /// As ``change(_:)``, for what makes the journal larger for good: not where it needs its last pages for uploads.
    func add<Value>(_ body: (JournalTransaction) throws -> Value) throws(Errno) -> Value {
        guard !journal.isTight else { throw .noSpace }
        return try change(body)
    }

    /// The errno for an error; what is not an errno by itself is logged.
    func failure(_ error: any Error) -> Errno {
        let errno = ErrnoMapping.errno(for: error)
        if !(error is Errno) {
            logger.warning("request failed", metadata: ["error": "\(error)", "errno": "\(errno)"])
        }
        return errno
    }
}

// MARK: Inodes

extension FileSystem {
    /// The row of an inode that the kernel refers to. ESTALE if there is none any more.
    func inode(_ number: InodeNumber, in transaction: JournalTransaction) throws -> Inode {
        guard let inode = try transaction.inode(number) else { throw Errno.staleNFSFileHandle }
        return inode
    }

    func row(_ number: InodeNumber) throws(Errno) -> Inode {
        guard let inode = try rowIfAny(number) else { throw .staleNFSFileHandle }
        return inode
    }

    func rowIfAny(_ number: InodeNumber) throws(Errno) -> Inode? {
        do {
            return try journal.inode(number)
        } catch {
            throw failure(error)
        }
    }

    /// The row of a directory that a name is to be found or made in.
    func directory(_ number: InodeNumber, in transaction: JournalTransaction) throws -> Inode {
        let inode = try inode(number, in: transaction)
        guard inode.kind == .directory else { throw Errno.notDirectory }
        return inode
    }

    /// What programs see of an inode.
    func shown(_ row: Inode) -> FileAttributes {
        let ahead = row.kind == .file ? cache.status(of: row.number) : nil
        if ahead == nil, let settled = settled(row) { return shown(settled, nil) }
        return shown(row, ahead)
    }

    /// `ahead`: size and time of a file whose row does not say them yet.
    private func shown(_ inode: Inode, _ ahead: (size: Int64, modified: Timestamp)?) -> FileAttributes {
        var size = inode.linkTarget.map { Int64(ByteText.decode($0).count) } ?? inode.size
        var modified = inode.modified
        var changed = inode.changed
        if let ahead {
            (size, modified) = ahead
            changed = max(changed, modified)
        }
        var attributes = FileAttributes(
            inode: inode.number, kind: inode.kind, permissions: inode.permissions & ~options.umask,
            linkCount: inode.kind == .directory ? 2 : UInt32(inode.linkCount),
            userID: options.userID ?? inode.userID, groupID: options.groupID ?? inode.groupID, size: size,
            accessed: inode.accessed, modified: modified, changed: changed)
        attributes.device = inode.device
        return attributes
    }

    /// A file that was written and is closed now may have been synced after its row was read: that row has the size of
    /// before. The cache journals what a file became before it forgets that. Nil for any other.
    private func settled(_ row: Inode) -> Inode? {
        guard row.kind == .file, row.pending.contains(.content) else { return nil }
        return try? self.row(row.number)
    }

    /// An answer that gives the kernel a reference.
    func entry(_ inode: Inode) -> Entry {
        table.withLock { $0.references[inode.number] += 1 }
        return Entry(attributes: shown(settledSetID(inode)), timeToLive: timeToLive)
    }

    public func forget(_ inode: InodeNumber, count: UInt64) {
        let (isKnown, isGone) = table.withLock { table in
            let left = table.references[inode] - min(count, table.references[inode])
            table.references[inode] = left
            return (left > 0, left == 0 && table.unlinked.remove(inode) != nil)
        }
        if !isKnown { paths.forget(inode) }
        if isGone { cache.remove(inode) }
    }

    /// After the transaction that took the last name of an inode away: its row and data go when nobody refers to it.
    func lostLastName(_ inode: InodeNumber) {
        let isGone = table.withLock { table in
            guard table.references[inode] > 0 else { return true }
            table.unlinked.insert(inode)
            return false
        }
        if isGone { cache.remove(inode) }
    }
}

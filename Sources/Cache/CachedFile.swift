import Logging
import ObjectStore
import Platform
import Synchronization
import SystemPackage

/// The local bytes of one open inode.
///
/// Thread rule: any thread. Lock order: the table of ``FileCache``, then this file's state, then the journal. Reads
/// of bytes take no lock; writes to a file that is not wholly local are serialised with the arrival of fetched
/// bytes, so that a fetched byte never replaces a newer written one.
public final class CachedFile: Sendable {
    public let inode: InodeNumber
    let file: any DiskFile
    let disk: any Disk
    let journal: Journal
    let time: any TimeSource
    let boot: BootIdentity
    let logger: Logger
    let state: Mutex<State>

    struct State {
        var size: Int64
        var modified: Timestamp
        /// Whether the journal says that content is pending.
        var isDirty: Bool
        /// Raised before and after each change of the bytes, and when a version is told in the middle of one: equal values
        /// mean equal bytes in between.
        var changes: UInt64 = 0
        /// The same of changes of bytes that are there; what is appended is none.
        var rewrites: UInt64 = 0
        /// Of these, how many have begun and not ended.
        var changesUnderWay = 0
        var rewritesUnderWay = 0
        /// Of a file that is dirty.
        var changed = ChangedRanges.unknown
        /// When they last changed, or the file was opened; by the monotonic clock.
        var lastChange: Duration
        var extents: FileExtents
        /// The object the file stands on; nil for a file that is new.
        var base: RemoteObject?
        /// Nil when every byte is local.
        var log: RangeLog?
        /// Whether every byte is local, though a crash may lose those that were fetched.
        var hasAllBytes: Bool { log == nil || extents.isComplete }
        /// Up to where the file was cut, which the range log does not say yet: it has to before the file grows.
        var unrecordedCut: Int64?
        /// Of bytes that are as in the bucket, or are on the way there.
        var checksums: BlockChecksums
        /// Raised when bytes that the disk damaged are given up.
        var losses: UInt64 = 0
        /// Raised before and after each change of the data file; ``synced`` follows when they are on the disk.
        var written: UInt64 = 0
        var synced: UInt64 = 0
        /// Whether bytes, the size or the name may be lost by a power cut.
        var isUnsynced: Bool { written != synced }
        var hasUnsyncedName = false
        /// Bytes from the start that are on the disk for good. The row of a dirty file says no more than that: a data file
        /// that is shorter has lost something.
        var durableSize: Int64
        /// Behind what is on the disk for good.
        var appended: Range<Int64> { min(durableSize, size)..<size }
        /// Raised when the file is cut.
        var cuts: UInt64 = 0
        /// An earlier sync failed: bytes that were acknowledged may be gone from the disk.
        var syncError: Errno?
        /// Every block was compared with its checksum since the process began; nothing has changed since.
        var isWhollyChecked = false
        /// Set as long as programs reach the data file past this object: see ``CachedFile/handOver(for:)``.
        var handover: Handover?
        /// Whether bytes may change without this object being told.
        var isWatched: Bool { handover?.isForWriting ?? false }
    }

    init(
        inode: InodeNumber, file: any DiskFile, disk: any Disk, journal: Journal, time: any TimeSource,
        boot: BootIdentity, logger: Logger, state: sending State
    ) {
        self.inode = inode
        self.file = file
        self.disk = disk
        self.journal = journal
        self.time = time
        self.boot = boot
        self.logger = logger
        self.state = Mutex(state)
    }

    /// For splicing bytes that are present. Valid as long as the object lives.
    public var descriptor: Int32 { file.descriptor }

    /// Size in bytes and time of the last change.
    public var status: (size: Int64, modified: Timestamp) {
        state.withLock { state in
            observe(&state)
            return (state.size, state.modified)
        }
    }

    /// When the bytes last changed, by the monotonic clock.
    public var lastChange: Duration {
        state.withLock { state in
            observe(&state)
            return state.lastChange
        }
    }

    public var isDirty: Bool { state.withLock { $0.isDirty } }

    /// Hands what the row shall say of the file to `commit`, which writes it into the journal and may call nothing else:
    /// no change comes between the two. `allocated`: bytes on the disk.
    func withEnd<Value>(allocated: Int64, _ commit: (FileEnd) throws -> Value) rethrows -> Value {
        try state.withLock { state in
            observe(&state)
            return try commit(
                FileEnd(
                    size: state.size, durableSize: state.isDirty ? min(state.size, state.durableSize) : state.size,
                    modified: state.modified, isDirty: state.isDirty, allocated: allocated,
                    syncError: state.syncError, isWhole: state.log?.isWhole ?? false))
        }
    }

    public var allocatedBytes: Int64 { (try? file.status().allocated) ?? 0 }
}

// MARK: Changes by programs

extension CachedFile {
    /// Moves `count` bytes into the file at `offset` by `transfer`, which gets the descriptor and the offset and
    /// returns how many it moved. The file is journaled dirty before. Throws ``CacheError`` or `transfer`'s errno.
    public func write(
        at offset: Int64, count: Int, transfer: (_ descriptor: Int32, _ offset: Int64) throws(Errno) -> Int
    ) throws -> Int {
        let (isComplete, target, isRewrite) = try state.withLock { state in
            observe(&state)
            // What lies between the end and a write behind it changes as well.
            let target = min(offset, state.size)..<offset + Int64(count)
            return (state.log == nil, target, try beginChange(of: target, &state))
        }
        if isComplete {
            defer { state.withLock { endChange(of: target, isRewrite, &$0) } }
            let written = try transfer(file.descriptor, offset)
            state.withLock { endWrite(&$0, offset..<offset + Int64(written)) }
            return written
        }
        return try state.withLock { state in
            defer { endChange(of: target, isRewrite, &state) }
            let written = try transfer(file.descriptor, offset)
            let range = offset..<offset + Int64(written)
            try record(.present(range), &state)
            endWrite(&state, range)
            return written
        }
    }

    /// Cuts or extends the file; what is added reads as zeros.
    public func truncate(to size: Int64) throws {
        try state.withLock { state in
            observe(&state)
            // Nothing is left of the bytes that a failed sync may have lost.
            if size == 0 { state.syncError = nil }
            let end = min(size, state.size)..<Int64.max
            let isRewrite = try beginChange(of: end, &state)
            defer { endChange(of: end, isRewrite, &state) }
            if size < state.durableSize { try journalCut(to: size, &state) }
            try system("truncating a data file") { () throws(Errno) in try file.truncate(to: size) }
            if size < state.size {
                state.cuts += 1
                state.unrecordedCut = size
                // If there is no room for it now, there has to be before the file grows.
                try? recordCut(&state)
            }
            state.size = size
            state.modified = time.wall
        }
    }

    /// The range log is told after the data file was cut: before, a crash in between would leave zeros of the file's old
    /// size. What is shorter than its object was cut, also if the log does not say so.
    private func recordCut(_ state: inout State) throws(CacheError) {
        guard let size = state.unrecordedCut else { return }
        try record(.limit(size), &state)
        state.unrecordedCut = nil
    }

    /// fallocate(2) on `range`, which must not be empty. What is made zeros never comes from the object any more.
    /// Throws ``CacheError``.
    public func allocate(_ range: Range<Int64>, _ allocation: Allocation) throws {
        try state.withLock { state in
            observe(&state)
            let changed = min(state.size, allocation.zeroes ? range.lowerBound : state.size)..<Int64.max
            let isRewrite = try beginChange(of: changed, &state)
            defer { endChange(of: changed, isRewrite, &state) }
            // The disk may have done a part of it before it failed.
            defer { state.size = (try? file.status().size) ?? state.size }
            try system("allocating in a data file") { () throws(Errno) in try file.allocate(range, allocation) }
            if allocation.zeroes { try record(.present(range), &state) }
            state.modified = time.wall
        }
    }

    /// Sets the modification time without making the content dirty; `commit` writes the row, so that an upload that ends
    /// meanwhile finds both as they were or both as they are. The data file carries the time, so that recovery finds it
    /// after a crash.
    public func setModified(_ modified: Timestamp, commit: () throws -> Void = {}) throws {
        try state.withLock { state in
            observe(&state)
            try commit()
            try system("setting the time of a data file") { () throws(Errno) in try file.setModified(modified) }
            state.modified = modified
            if state.isWatched { state.written += 1 }
            lookAgain(&state)
        }
    }

    /// `range`: no other byte changes. Returns whether bytes that are there may; ``endChange(of:_:_:)`` is told.
    private func beginChange(of range: Range<Int64>, _ state: inout State) throws -> Bool {
        if let errno = state.syncError { throw CacheError.system(errno, during: "an earlier sync of the file") }
        if !state.isDirty { try beginDirt(&state) }
        try recordCut(&state)
        let isRewrite = range.lowerBound < state.size
        state.changed.add(range)
        state.checksums.forget(range)
        state.changes += 1
        state.changesUnderWay += 1
        if isRewrite {
            state.rewrites += 1
            state.rewritesUnderWay += 1
        }
        state.written += 1
        return isRewrite
    }

    private func endChange(of range: Range<Int64>, _ isRewrite: Bool, _ state: inout State) {
        state.checksums.forget(range)
        state.changes += 1
        state.changesUnderWay -= 1
        if isRewrite {
            state.rewrites += 1
            state.rewritesUnderWay -= 1
        }
        state.written += 1
        state.lastChange = time.monotonic
        lookAgain(&state)
    }

    /// The first change of a file that is as in the bucket. What is there becomes durable before the journal says that it
    /// counts, and the journal before new bytes can reach the disk: else a power cut would leave these as the object's.
    func beginDirt(_ state: inout State) throws {
        try makeLog(&state)
        try synchronize(&state)
        state.durableSize = state.size
        try saveChecksums(&state)
        try journal.write { try $0.markContentPending(inode) }
        try journal.synchronize()
        state.checksums = BlockChecksums(isStored: false)
        state.isWhollyChecked = false
        state.changed = .none
        state.isDirty = true
    }

    /// Makes the name and all bytes survive a power cut.
    func synchronize(_ state: inout State) throws(CacheError) {
        guard state.isUnsynced else { return }
        do throws(Errno) {
            try synchronizeName(of: &state)
            try file.synchronize()
            if let end = state.log?.end { try state.log?.markSynced(before: end) }
            state.synced = state.written
        } catch {
            state.syncError = error
            throw .system(error, during: "syncing a data file")
        }
    }

    /// The row promises less before the data file holds less.
    private func journalCut(to size: Int64, _ state: inout State) throws {
        try journal.write { transaction in
            guard var inode = try transaction.inode(inode), inode.size > size else { return }
            inode.size = size
            try transaction.updateSizeAndTimes(of: inode)
        }
        try journal.synchronize()
        state.durableSize = size
    }

    private func synchronizeName(of state: inout State) throws(Errno) {
        guard state.hasUnsyncedName else { return }
        try disk.synchronizeDirectory(FileCache.shardName(inode))
        state.hasUnsyncedName = false
    }

    private func endWrite(_ state: inout State, _ range: Range<Int64>) {
        state.size = max(state.size, range.upperBound)
        state.modified = time.wall
    }

    func record(_ record: RangeLogRecord, _ state: inout State) throws(CacheError) {
        state.extents.apply(record)
        if state.log?.isInMemory == true {
            if state.extents.isComplete, !state.isDirty {
                state.log?.defer(.present(0..<state.extents.baseLimit))
                return
            }
            state.hasUnsyncedName = true
        }
        try system("writing a range log") { () throws(Errno) in try state.log?.append(record) }
    }

    /// Of a file whose bytes are all there, and which is to be changed.
    private func makeLog(_ state: inout State) throws(CacheError) {
        guard state.log?.isWhole == true else { return }
        try system("making a range log") { () throws(Errno) in try state.log?.make() }
        state.hasUnsyncedName = true
        state.written += 1
    }

    func system(_ action: String, _ call: () throws(Errno) -> Void) throws(CacheError) {
        do {
            try call()
        } catch {
            throw .system(error, during: action)
        }
    }
}

// MARK: Bytes of the object

extension CachedFile {
    /// The object that missing bytes come from; nil if the file stands on none.
    public var base: RemoteObject? { state.withLock { $0.base } }

    /// Whether every byte is local, for good.
    public var isComplete: Bool { state.withLock { $0.log == nil } }

    /// Whether every byte is local, though a crash may lose those that were fetched.
    public var hasAllBytes: Bool { state.withLock { $0.hasAllBytes } }

    /// Ranges that must be fetched before `range` can be read, ascending.
    public func missing(in range: Range<Int64>) -> [Range<Int64>] {
        state.withLock { $0.log == nil ? [] : $0.extents.missing(in: range) }
    }

    /// Where data or a hole is, at `offset` or behind; bytes that are not local count as data. ENXIO if there is no data
    /// any more, or `offset` is at the end or behind it (lseek(2)).
    public func seek(_ goal: SparseSeek, from offset: Int64) throws(Errno) -> Int64 {
        let (size, missing) = state.withLock { state in
            observe(&state)
            return (state.size, state.log == nil ? [] : state.extents.missing(in: min(offset, state.size)..<state.size))
        }
        guard offset >= 0, offset < size else { throw .noSuchAddressOrDevice }
        switch goal {
        case .data: return try seekData(from: offset, missing)
        case .hole: return try seekHole(from: offset, missing, size: size)
        }
    }

    /// Up to where the data file has no hole, bytes; at most the size. Throws what lseek(2) throws.
    public var contiguousEnd: Int64 {
        get throws(Errno) { status.size == 0 ? 0 : try file.seek(.hole, from: 0) }
    }

    private func seekData(from offset: Int64, _ missing: [Range<Int64>]) throws(Errno) -> Int64 {
        guard let absent = missing.first?.lowerBound else { return try file.seek(.data, from: offset) }
        if absent == offset { return absent }
        do {
            return min(absent, try file.seek(.data, from: offset))
        } catch .noSuchAddressOrDevice {
            return absent
        }
    }

    /// The data file has holes where bytes are missing: those are passed over.
    private func seekHole(from offset: Int64, _ missing: [Range<Int64>], size: Int64) throws(Errno) -> Int64 {
        var hole = try file.seek(.hole, from: offset)
        for absent in missing where absent.upperBound > hole {
            guard absent.contains(hole) else { break }
            if absent.upperBound == size { return size }
            hole = try file.seek(.hole, from: absent.upperBound)
        }
        return hole
    }

    /// Stores fetched bytes where none are yet. Bytes of an object that is no longer the base are ignored.
    public func fill(_ bytes: UnsafeRawBufferPointer, at offset: Int64, of version: ETag) throws(CacheError) {
        try state.withLock { state throws(CacheError) in
            guard state.base?.etag == version, state.log != nil else { return }
            let range = offset..<offset + Int64(bytes.count)
            let empty = emptyBlocks(in: range, state)
            for gap in state.extents.missing(in: range) {
                try system("writing fetched bytes") { () throws(Errno) in
                    try file.write(bytes.bytes(of: gap, from: offset), at: gap.lowerBound)
                }
                try record(.present(gap), &state)
            }
            state.written += 1
            learnChecksums(of: bytes, at: range, wereEmpty: empty, &state)
        }
    }

    /// The object was copied without a change of its bytes: `commit` writes that into the journal. Before, the range
    /// log is made to hold for the copy, so that bytes written here stay known whichever of the two a crash leaves.
    func rebase(on object: RemoteObject, commit: () throws -> Void) throws {
        try state.withLock { state in
            if state.base?.etag != object.etag {
                try system("writing a range log") { () throws(Errno) in try state.log?.adopt(object.etag) }
            }
            try commit()
            state.base = object
            state.handover?.former = nil
        }
    }
}

// MARK: Uploads

extension CachedFile {
    /// In the middle of a change the bytes are of no moment: what is told then is equal to nothing that is told later.
    public var version: Version {
        state.withLock { state in
            observe(&state)
            defer {
                if state.changesUnderWay > 0 { state.changes += 1 }
                if state.rewritesUnderWay > 0 { state.rewrites += 1 }
            }
            return Version(
                changes: state.changes, rewrites: state.rewrites, size: state.size, isExact: !state.isWatched,
                isResting: isResting(state))
        }
    }

    /// Reads up to the buffer's size of present bytes; less only at the end of the file.
    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(Errno) -> Int {
        try file.read(into: buffer, at: offset)
    }

    /// Ends an upload that put the bytes of `version` into the bucket as `object`: `commit` writes the journal, told
    /// whether these still are the bytes of the file. No change of the bytes comes between the two: of a file that
    /// programs write past this object they count as current only when those are gone.
    public func finishUpload(
        of version: Version, as object: RemoteObject, commit: (_ isCurrent: Bool) throws -> Void
    ) throws {
        try state.withLock { state in
            observe(&state)
            let isSame = state.changes == version.changes
            let isCurrent = isSame && !state.isWatched
            let isPartial = state.log != nil && !state.extents.isComplete
            if isPartial {
                // What is missing is in the new object at the same place: the log holds for either, whichever a crash leaves.
                try system("writing a range log") { () throws(Errno) in try state.log?.adopt(object.etag) }
            }
            try commit(isCurrent)
            state.base = object
            state.handover?.sent = isSame ? state.changes : nil
            state.handover?.former = isSame && version.isResting ? Handover.Former(sentAs: object) : nil
            if !isCurrent && state.rewrites == version.rewrites {
                try saveBaseChecksums(upTo: version.size, state)
            }
            if isCurrent {
                state.isDirty = false
                if isPartial {
                    state.extents.extendBase(to: object.size)
                } else {
                    state.extents = .complete
                    state.log = nil
                }
            }
        }
    }

    /// Whether all of the object that the file stands on shows through where nothing was written: it was never cut.
    public var hasWholeBase: Bool {
        state.withLock { state in
            guard let base = state.base else { return false }
            return state.log != nil && state.extents.baseLimit == base.size && state.size >= base.size
        }
    }
}

// MARK: Durability

extension CachedFile {
    /// Makes the name and all bytes written before the call survive a power cut. A failure is remembered: what was
    /// acknowledged may be gone, and no later success may hide that.
    public func synchronize() throws(CacheError) {
        let moment = state.withLock { state in
            observe(&state)
            return SyncMoment(
                isNeeded: state.isUnsynced || state.isWatched || state.syncError != nil, isResting: isResting(state),
                state)
        }
        guard moment.isNeeded else { return }
        try rememberingFailure { () throws(Errno) in
            try state.withLock { state throws(Errno) in try synchronizeName(of: &state) }
            try writeBack(moment.appended)
            try file.synchronize()
            if let logEnd = moment.logEnd { try markSynced(before: logEnd) }
        }
        state.withLock { state in
            // Only now: another caller must not take a sync that is still under way for done.
            state.synced = max(state.synced, moment.written)
            state.handover?.isSynced = moment.isResting
            // One that was cut meanwhile may be shorter.
            if state.cuts == moment.cuts { state.durableSize = max(state.durableSize, moment.size) }
        }
    }

    /// Brings what was appended to the disk, ahead of a sync of the whole disk. Fails as ``synchronize()`` does.
    func writeBack() throws(CacheError) {
        let appended = state.withLock { state in
            observe(&state)
            return state.appended
        }
        try rememberingFailure { () throws(Errno) in try writeBack(appended) }
    }

    /// Bytes that are brought to the disk at once. While ext4 finds room for what was written, programs that append wait:
    /// for all that comes within a `flush_interval` that is longer than a frame of a camera may take, for one of its
    /// extents (8 MiB) it is not.
    private static let pieceSize: Int64 = 4 << 20
    /// A file can be made endless without a byte of it.
    private static let pieceLimit: Int64 = 1024

    /// Piece by piece; the last one is left to the sync.
    private func writeBack(_ range: Range<Int64>) throws(Errno) {
        let size = max(Self.pieceSize, range.length / Self.pieceLimit)
        for start in stride(from: range.lowerBound, to: range.upperBound - size, by: Int(size)) {
            try file.writeBack(start..<start + size)
        }
    }

    private func rememberingFailure(_ body: () throws(Errno) -> Void) throws(CacheError) {
        do throws(Errno) {
            if let errno = state.withLock({ $0.syncError }) { throw errno }
            try body()
        } catch {
            state.withLock { $0.syncError = error }
            throw .system(error, during: "syncing a data file")
        }
    }

    /// What a sync covers that begins now.
    private struct SyncMoment {
        var isNeeded: Bool
        var isResting: Bool
        var written: UInt64
        var size: Int64
        var cuts: UInt64
        var logEnd: Int64?
        var appended: Range<Int64>

        init(isNeeded: Bool, isResting: Bool, _ state: borrowing State) {
            self.isNeeded = isNeeded
            self.isResting = isResting
            written = state.written
            size = state.size
            cuts = state.cuts
            logEnd = state.log?.end
            appended = state.appended
        }
    }

    /// A sync of the file failed before it was closed and opened again.
    func resume(after syncError: Errno) { state.withLock { $0.syncError = syncError } }

    /// Every block was compared with its checksum when the file was last open.
    func resumeChecked() { state.withLock { $0.isWhollyChecked = !$0.isDirty && $0.extents.isComplete } }

    private func markSynced(before offset: Int64) throws(Errno) {
        try state.withLock { state throws(Errno) in try state.log?.markSynced(before: offset) }
    }

    var isUnsynced: Bool {
        state.withLock { state in
            observe(&state)
            return state.isUnsynced || state.isWatched && state.handover?.isSynced != true
        }
    }

    /// Whether every byte became local and only the journal does not say so yet.
    var becameComplete: Bool {
        state.withLock { $0.log != nil && !$0.isUnsynced && $0.extents.isComplete }
    }

    /// The journal says that every byte is local: the range log is not needed any more.
    func forgetLog() {
        state.withLock { state in
            if state.extents.isComplete { state.log = nil }
        }
    }
}

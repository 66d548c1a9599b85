import ObjectStore
import Platform
import SystemPackage

// MARK: Reading what is as in the bucket

extension CachedFile {
    /// Bytes that arrive in whole blocks of this size are checked with the least work.
    public static let checksumBlockSize = BlockChecksums.blockSize

    /// A block that was not compared with its checksum yet.
    private struct Doubt {
        var block: Int64
        var bytes: Range<Int64>
        /// Whether all of it is local.
        var isWhole: Bool
        /// Of ``State/losses``.
        var losses: UInt64
    }

    /// Compares what is local of `range` with its checksums, each block once as long as the file is open; a block
    /// without a checksum gets one. Does nothing for a file with changes.
    ///
    /// A block that the disk damaged, or cannot read, is missing from then on and told of. Reads the disk. Throws
    /// ``CacheError``.
    public func verify(_ range: Range<Int64>) throws {
        while true {
            let found = try state.withLock { try doubts(in: range, &$0) }
            guard !found.isEmpty else { return }
            for doubt in found {
                let checksum = file.blockChecksum(of: doubt.bytes)
                try state.withLock { try settle(doubt, checksum, &$0) }
            }
        }
    }

    private func doubts(in range: Range<Int64>, _ state: inout State) throws -> [Doubt] {
        guard !state.isDirty, state.base != nil else { return [] }
        let blocks = BlockChecksums.blocks(in: range.clamped(to: 0..<state.size))
        if state.checksums.areChecked(blocks) { return [] }
        try load(blocks, &state)
        return blocks.filter { !state.checksums.areChecked($0..<$0 + 1) }.compactMap { block in
            let bytes = BlockChecksums.bytes(of: block, size: state.size)
            let missing = state.log == nil ? [] : state.extents.missing(in: bytes)
            guard missing != [bytes] else { return nil }
            return Doubt(block: block, bytes: bytes, isWhole: missing.isEmpty, losses: state.losses)
        }
    }

    func load(_ blocks: Range<Int64>, _ state: inout State) throws {
        for page in state.checksums.missingPages(of: blocks) {
            state.checksums.load(page, try journal.read { try $0.checksums(of: inode, page: page) })
        }
    }

    private func settle(_ doubt: Doubt, _ checksum: UInt64?, _ state: inout State) throws {
        guard !state.isDirty, state.losses == doubt.losses, !state.checksums.areChecked(doubt.block..<doubt.block + 1)
        else { return }
        guard let checksum else { return try giveUp(doubt.bytes, "cannot be read", &state) }
        guard doubt.isWhole else { return state.checksums.check(doubt.block) }
        guard checksum == state.checksums.checksum(of: doubt.block) ?? checksum else {
            return try giveUp(doubt.bytes, "are not what was fetched or sent", &state)
        }
        state.checksums.learn(checksum, of: doubt.block)
    }
}

// MARK: Damage

extension CachedFile {
    /// The store says of an object, once all of it has come, that it was not right: what came of `range` is missing from
    /// now on. Does nothing if the file is of another version by now, or has changes: then it is not only what came.
    /// Throws ``CacheError``.
    public func distrust(_ range: Range<Int64>, of version: ETag) throws {
        try state.withLock { state in
            guard !state.isDirty, state.base?.etag == version else { return }
            try giveUp(range, "are not what the store says that it has", &state)
        }
    }

    /// What is local of a range is missing from now on, durably, and that is told of. Then the range is made a hole:
    /// what is written into a page that the disk cannot read would have to read it. Not under programs that read past this
    /// object: they would take the hole for zeros.
    private func giveUp(_ bytes: Range<Int64>, _ what: String, _ state: inout State) throws {
        guard let base = state.base else { return }
        logger.error(
            "local bytes are damaged and fetched again",
            metadata: ["ino": "\(inode)", "range": "\(bytes)", "what": "they \(what)"])
        do {
            try synchronize(&state)
            if state.log == nil { try beginLog(of: base, &state) }
            try record(.absent(bytes), &state)
            state.losses += 1
            state.checksums.forget(bytes)
            state.isWhollyChecked = false
            try system("syncing a range log") { () throws(Errno) in
                if let end = state.log?.end { try state.log?.markSynced(before: end) }
            }
            try journalLoss(what)
        } catch {
            throw CacheError.corrupt("damaged bytes of inode \(inode) cannot be fetched again: \(error)")
        }
        if state.handover == nil { try? file.allocate(bytes, .punchHole) }
    }

    /// Of a file that was wholly local: not all of it shall be fetched again.
    private func beginLog(of base: RemoteObject, _ state: inout State) throws(CacheError) {
        let name = FileCache.rangeLogName(inode)
        var extents = FileExtents(baseLimit: base.size)
        let all = RangeLogRecord.present(0..<base.size)
        try system("starting a range log") { () throws(Errno) in
            try disk.remove(name)
            var log = try RangeLog.open(name, on: disk, version: base.etag, boot: boot, extents: &extents)
            try log.append(all)
            try disk.synchronizeDirectory(FileCache.shardName(inode))
            state.log = log
        }
        extents.apply(all)
        state.extents = extents
    }

    private func journalLoss(_ what: String) throws {
        try journal.write { transaction in
            if var row = try transaction.inode(inode), row.local == .complete {
                row.local = .partial
                try transaction.update(row)
            }
            var reports = DamageReports(time: time.wall)
            try reports.add("local bytes of it \(what): they are fetched again", inode, transaction)
            _ = try transaction.record(reports)
        }
        try journal.synchronize()
    }
}

// MARK: Learning

extension CachedFile {
    /// Blocks of a range that have no local bytes.
    func emptyBlocks(in range: Range<Int64>, _ state: borrowing State) -> [Int64] {
        var empty: [Int64] = []
        for block in BlockChecksums.blocks(in: range) {
            let bytes = BlockChecksums.bytes(of: block, size: state.size)
            if state.extents.missing(in: bytes) == [bytes] { empty.append(block) }
        }
        return empty
    }

    /// Of blocks that became whole when `bytes` were fetched. What came into blocks that were empty needs no look at the
    /// disk.
    func learnChecksums(
        of bytes: UnsafeRawBufferPointer, at range: Range<Int64>, wereEmpty empty: [Int64], _ state: inout State
    ) {
        let blocks = BlockChecksums.blocks(in: range)
        // Without what the journal knows of them, nothing can be added to it.
        guard !state.isDirty, (try? load(blocks, &state)) != nil else { return }
        for block in blocks {
            let place = BlockChecksums.bytes(of: block, size: state.size)
            let known = state.checksums.checksum(of: block)
            let wasEmpty = empty.contains(block)
            if wasEmpty { state.checksums.check(block) }
            let isSettled = known != nil && state.checksums.areChecked(block..<block + 1)
            guard !isSettled, state.extents.missing(in: place).isEmpty else { continue }
            let isInMemory = wasEmpty && place.clamped(to: range) == place
            let checksum =
                isInMemory
                ? BlockHash.checksum(bytes.bytes(of: place, from: range.lowerBound)) : file.blockChecksum(of: place)
            guard let checksum, checksum == known ?? checksum else { continue }
            state.checksums.learn(checksum, of: block)
        }
    }

    /// Of blocks of a changed file that were read to be sent; `rewrites`: of ``Version``, before the first of them was.
    public func learnChecksums(_ maker: FingerprintMaker, since rewrites: UInt64) {
        learnChecksums(maker.pieces, since: rewrites)
    }

    private func learnChecksums(_ pieces: [(bytes: Range<Int64>, checksum: UInt64)], since rewrites: UInt64) {
        state.withLock { state in
            guard state.isDirty, !state.isWatched, state.rewrites == rewrites else { return }
            for (bytes, checksum) in pieces {
                let block = bytes.lowerBound / BlockChecksums.blockSize
                if bytes == BlockChecksums.bytes(of: block, size: state.size) {
                    state.checksums.learn(checksum, of: block)
                }
            }
        }
    }

    /// Of the bytes that the file has in `range` now, all of which are local. Of blocks that did not change since they
    /// were last read for this or to be sent, the disk is not read. Nil if it cannot be read.
    public func fingerprint(of range: Range<Int64>) -> Fingerprint? {
        let rewrites = version.rewrites
        var pieces: [(bytes: Range<Int64>, checksum: UInt64)] = []
        for bytes in Fingerprint.pieces(of: range) {
            guard let checksum = knownChecksum(of: bytes) ?? file.blockChecksum(of: bytes) else { return nil }
            pieces.append((bytes, checksum))
        }
        learnChecksums(pieces, since: rewrites)
        return Fingerprint(of: pieces.map(\.checksum))
    }

    private func knownChecksum(of bytes: Range<Int64>) -> UInt64? {
        let block = bytes.lowerBound / BlockChecksums.blockSize
        return state.withLock { state in
            let isWhole = bytes == BlockChecksums.bytes(of: block, size: state.size)
            guard isWhole, !state.isWatched, state.checksums.areChecked(block..<block + 1) else { return nil }
            return state.checksums.checksum(of: block)
        }
    }

    /// Whether bytes with this fingerprint, which a changed file had in `range`, are those of the object that it stands on.
    /// False where that is not known. Throws ``CacheError``.
    public func isAsInBase(_ range: Range<Int64>, _ fingerprint: Fingerprint?) throws -> Bool {
        guard let fingerprint, let base, range.upperBound <= base.size else { return false }
        var checksums = BlockChecksums(isStored: true)
        let blocks = BlockChecksums.blocks(in: range)
        for page in checksums.missingPages(of: blocks) {
            checksums.load(page, try journal.read { try $0.checksums(of: inode, page: page) })
        }
        let pieces = Fingerprint.pieces(of: range)
        let known = zip(pieces, blocks).compactMap { piece, block in
            piece == BlockChecksums.bytes(of: block, size: base.size) ? checksums.checksum(of: block) : nil
        }
        return known.count == pieces.count && Fingerprint(of: known) == fingerprint
    }

    /// Brings what was learned into the journal, of a file that is as in the bucket. What is lost on the way is learned
    /// again with the next reading.
    func saveChecksums() throws {
        try state.withLock { try saveChecksums(&$0) }
    }

    func saveChecksums(_ state: inout State) throws {
        if let pages = takeUnsavedChecksums(&state) { try journal(pages) }
    }

    /// For who writes them into the journal, before the file can be opened again. Nil if there are none.
    func takeUnsavedChecksums() -> BlockChecksums.Pages? {
        state.withLock { takeUnsavedChecksums(&$0) }
    }

    private func takeUnsavedChecksums(_ state: inout State) -> BlockChecksums.Pages? {
        guard !state.isDirty, state.checksums.isUnsaved, !journal.isTight else { return nil }
        return state.checksums.takeUnsaved()
    }

    /// The object has the file's bytes up to `size` as they are now, and the file goes on growing: what is known of them
    /// is known of the object.
    func saveBaseChecksums(upTo size: Int64, _ state: borrowing State) throws {
        guard !journal.isTight else { return }
        try journal(state.checksums.pages(before: size))
    }

    private func journal(_ pages: BlockChecksums.Pages) throws {
        guard !pages.isEmpty else { return }
        try journal.write { try $0.setChecksums(of: inode, pages) }
    }
}

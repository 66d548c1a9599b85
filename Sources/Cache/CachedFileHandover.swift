import Platform
import SystemPackage

// MARK: Programs that go past this process

extension CachedFile {
    /// Whether programs reach the data file past this object now.
    public var isHandedOver: Bool { state.withLock { $0.handover != nil } }

    /// Whether a file that nobody has open may be handed over. Bytes that are as in the bucket only once all were compared
    /// with their checksums: nobody compares what goes past. And a clean file not to who writes: it would have to be
    /// journaled as changed before anybody changes it.
    func mayBeHandedOver(for access: FileAccess) -> Bool {
        // Also what no program can have opened, or has still open from a former process, is found so.
        isReadyForHandover(for: access) && (try? file.isOpenElsewhere()) == false
    }

    /// Whether who reads the file may go past this object, as far as its bytes tell.
    public var isReadyForReaders: Bool { isReadyForHandover(for: .reading) }

    private func isReadyForHandover(for access: FileAccess) -> Bool {
        state.withLock { state in
            guard state.syncError == nil else { return false }
            if access.writes || state.isDirty || state.base == nil { return state.isDirty && state.log == nil }
            return state.hasAllBytes && isWhollyChecked(&state)
        }
    }

    private func isWhollyChecked(_ state: inout State) -> Bool {
        if !state.isWhollyChecked {
            state.isWhollyChecked = state.checksums.areChecked(BlockChecksums.blocks(in: 0..<state.size))
        }
        return state.isWhollyChecked
    }

    /// Of a file that is as in the bucket and about to be closed.
    var staysChecked: Bool {
        state.withLock { state in
            !state.isDirty && state.base != nil && state.extents.isComplete && isWhollyChecked(&state)
        }
    }

    /// One more handle goes past this object. A file is journaled dirty before it is handed to one that writes: nobody
    /// will tell of the first byte. Throws ``CacheError``.
    ///
    /// Returns whether it is the first that may be mapped for storing.
    func handOver(for access: FileAccess) throws -> Bool {
        try state.withLock { state in
            if access.writes && !state.isWatched { try beginWatching(&state) }
            var handover = state.handover ?? Handover()
            let isFirst = access == .both && !handover.mayBeMapped
            handover.handles += 1
            if access.writes { handover.writers += 1 }
            if access == .both { handover.mayBeMapped = true }
            state.handover = handover
            return isFirst
        }
    }

    private func beginWatching(_ state: inout State) throws {
        if let errno = state.syncError { throw CacheError.system(errno, during: "an earlier sync of the file") }
        guard state.log == nil else {
            throw CacheError.corrupt("bytes of inode \(inode) were lost while a program had it open")
        }
        let former = try former(&state)
        if !state.isDirty { try beginDirt(&state) }
        // What is learned of bytes that are on their way to the bucket may be outdated unseen.
        state.checksums = BlockChecksums(isStored: false)
        var seen: DiskFileStatus?
        try system("looking at a data file") { () throws(Errno) in
            // From now on it is the data file that tells the time.
            try file.setModified(state.modified)
            seen = try file.status()
        }
        state.handover = state.handover ?? Handover()
        state.handover?.seen = seen
        state.handover?.former = former
        noteChange(&state)
    }

    /// What the file can become again; nil if it is changed already, or a change would not be told for sure.
    private func former(_ state: inout State) throws -> Handover.Former? {
        guard !state.isDirty, isResting(state) else { return nil }
        let isChecked = isWhollyChecked(&state)
        try load(BlockChecksums.blocks(in: 0..<state.size), &state)
        return Handover.Former(base: state.base, checksums: state.checksums, isWhollyChecked: isChecked)
    }

    /// Whether a file that programs write past this object is in the bucket as it is.
    public var isSentAsItIs: Bool {
        state.withLock { state in
            observe(&state)
            return state.handover?.sent == state.changes
        }
    }

    /// A handle that went past is gone. Returns whether what it and others mapped may still be stored into: then
    /// ``endMappings()`` is to be asked.
    func handBack(_ access: FileAccess) -> Bool {
        state.withLock { state in
            observe(&state)
            guard state.handover != nil else { return false }
            state.handover?.handles -= 1
            if access.writes { state.handover?.writers -= 1 }
            if access.writes && !state.isWatched { endWatching(&state) }
            guard state.handover?.handles == 0 else { return false }
            if !state.isWatched { state.handover = nil }
            return state.isWatched
        }
    }

    /// Whether nobody stores into the file any more. Not to be asked while a program may open it.
    func endMappings() -> Bool {
        state.withLock { state in
            guard let handover = state.handover else { return true }
            guard handover.handles == 0, (try? file.isOpenElsewhere()) == false else { return false }
            observe(&state)
            state.handover?.mayBeMapped = false
            endWatching(&state)
            state.handover = nil
            return true
        }
    }

    /// Programs that outlived a former process have the file open still, and may write.
    func findForeignWriters() -> Bool {
        guard (try? file.isOpenElsewhere()) == true else { return false }
        state.withLock { state in
            state.handover = Handover(mayBeMapped: true, seen: try? file.status())
            noteChange(&state)
        }
        return true
    }

    /// The last who could write unseen is gone. A file that was clean and into which nobody wrote is clean again.
    private func endWatching(_ state: inout State) {
        let former = state.handover?.former
        state.handover?.former = nil
        state.handover?.seen = nil
        noteChange(&state)
        guard let former, state.base == former.base else { return }
        do {
            guard try journalClean(former) else { return }
        } catch {
            return logger.warning(
                "a file that nobody changed is sent again", metadata: ["ino": "\(inode)", "error": "\(error)"])
        }
        state.isDirty = false
        state.checksums = former.checksums
        state.checksums.markUnsaved()
        state.isWhollyChecked = former.isWhollyChecked
    }

    private func journalClean(_ former: Handover.Former) throws -> Bool {
        try journal.write { transaction in
            guard var row = try transaction.inode(inode), row.remote == former.base, row.attempt == nil,
                row.pending.contains(.content)
            else { return false }
            row.pending.remove(.content)
            if let base = former.base { row.size = base.size }
            try transaction.update(row)
            return true
        }
    }
}

// MARK: Looking

extension CachedFile {
    /// A file that was not changed for so long shows the next change by its time: no file system keeps times by more than
    /// seconds, and kernels before 6.13 move them by their clock's tick.
    private static let restingTime = Duration.seconds(3)

    func isResting(_ state: borrowing State) -> Bool { time.wall - state.modified > Self.restingTime }

    /// Takes up what was written past this object since the last look, as far as size and time of the data file tell.
    func observe(_ state: inout State) {
        guard state.isWatched, let seen = state.handover?.seen, let now = try? file.status(),
            now.size != seen.size || now.modified != seen.modified
        else { return }
        take(now, &state)
        noteChange(&state)
    }

    /// After a change by this object itself, which is not to be taken for one of others.
    func lookAgain(_ state: inout State) {
        guard state.isWatched, let now = try? file.status() else { return }
        take(now, &state)
    }

    private func take(_ now: DiskFileStatus, _ state: inout State) {
        state.handover?.seen = now
        state.handover?.former = nil
        state.size = now.size
        state.modified = now.modified
    }

    private func noteChange(_ state: inout State) {
        state.changed = .unknown
        state.changes += 1
        state.rewrites += 1
        state.written += 1
        state.lastChange = time.monotonic
    }
}

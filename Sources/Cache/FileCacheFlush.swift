import Platform
import SystemPackage

// MARK: Durability

extension FileCache {
    /// Above this many files to sync, one sync of the whole disk costs less than one for each.
    private static let fileSyncLimit = 32

    /// Makes a file's bytes, its name and all that programs were told before survive a power cut, with its time (fsync(2)).
    public func synchronize(_ file: CachedFile) throws {
        try makeDurable(file)
        try journal.synchronize()
    }

    /// The same without the file's time (fdatasync(2)): one sync of the data file, as long as no name or attribute was
    /// changed. The row says less than is there until the next flush, as after a write.
    public func synchronizeBytes(of file: CachedFile) throws {
        try file.synchronize()
        try journal.synchronizeAcknowledged()
    }

    /// Makes a file's bytes and its data file's name survive a power cut, and has the journal say so.
    func makeDurable(_ file: CachedFile) throws {
        try file.synchronize()
        try settle(file)
    }

    /// The same for a task, whose thread is for others while the disk works.
    public func makeDurableAside(_ file: CachedFile) async throws {
        guard file.isUnsynced else { return try makeDurable(file) }
        try await disk.aside { try self.makeDurable(file) }
    }

    /// The work of the flush timer: makes all that was acknowledged before survive a power cut, brings rows up to
    /// the bytes, and removes what nobody needs. Call it from one thread, every `flush_interval`.
    ///
    /// The order is that of docs/state-directory.md: bytes and names of data files, then rows that rely on them, then the
    /// removal of what no row needs any more. Everything is tried; the first error is thrown at the end.
    public func flush() throws {
        var failure: (any Error)?
        func attempt(_ work: () throws -> Void) {
            do { try work() } catch { failure = failure ?? error }
        }
        settleMappings()
        attempt { try closeIdle() }
        var unsynced = holdUnsynced()
        attempt { try synchronizeBytes(of: &unsynced) }
        attempt { try journalProgress(of: unsynced) }
        attempt { try saveChecksums() }
        for file in unsynced.held { release(file) }
        attempt { try journal.synchronize() }
        attempt { try removeDoomed() }
        attempt { try reportDamagedRows() }
        attempt { try journal.checkpoint() }
        attempt { try evictOverLimit() }
        attempt { try removals.settleMany() }
        attempt { try journal.replenish() }
        if let failure { throw failure }
    }

    /// What was written or filled since the last flush.
    private struct Unsynced {
        /// Each with a reference.
        var held: [CachedFile]
        /// Closed, and too many to be opened again: a sync of the whole disk serves them.
        var closed: [InodeNumber: FileEnd]

        var count: Int { held.count + closed.count }
    }

    private func holdUnsynced() -> Unsynced {
        let (open, closed) = table.withLock { table in
            let open = table.open.values.filter { $0.file.isUnsynced || $0.file.becameComplete }.map(\.file.inode)
            return (open, table.unsettled)
        }
        let opensAgain = open.count + closed.count <= Self.fileSyncLimit
        return Unsynced(held: hold(open + (opensAgain ? Array(closed.keys) : [])), closed: opensAgain ? [:] : closed)
    }

    private func hold(_ numbers: [InodeNumber]) -> [CachedFile] {
        numbers.compactMap { number in
            do {
                return try acquire(number)
            } catch CacheError.system(.staleNFSFileHandle, _) {
                table.withLock { $0.unsettled[number] = nil }  // deleted since
                return nil
            } catch {
                logger.error("cannot open a file to sync it", metadata: ["ino": "\(number)", "error": "\(error)"])
                return nil
            }
        }
    }

    private func synchronizeBytes(of unsynced: inout Unsynced) throws {
        var failure: (any Error)?
        if unsynced.count > Self.fileSyncLimit {
            for file in unsynced.held {
                do { try file.writeBack() } catch { failure = failure ?? error }
            }
            do {
                try disk.synchronizeAll()
            } catch {
                // It does not say whose bytes were lost: each file is asked.
                failure = failure ?? CacheError.system(error, during: "syncing the state directory")
                unsynced.held += hold(Array(unsynced.closed.keys))
                unsynced.closed = [:]
            }
        }
        // After a sync of the whole disk these find nothing to write.
        for file in unsynced.held {
            do { try file.synchronize() } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    private func journalProgress(of unsynced: Unsynced) throws {
        let lastUsed = table.withLock { table in
            defer { table.lastUsed = [:] }
            return table.lastUsed
        }
        let complete = unsynced.held.filter(\.becameComplete)
        for file in unsynced.held { try settle(file) }
        try settleClosed(unsynced.closed)
        guard !complete.isEmpty || !lastUsed.isEmpty else { return }
        try journal.write { transaction in
            for file in complete { try markComplete(file.inode, in: transaction) }
            for (number, time) in lastUsed { try transaction.setLastUsed(time, of: number) }
        }
        for file in complete { file.forgetLog() }
    }

    /// Has the journal say of a file that all of it was fetched, if only its range log does.
    func settleFetched(_ file: CachedFile) throws {
        guard file.hasAllBytes, !file.isComplete else { return }
        try makeDurable(file)
        guard file.becameComplete else { return }
        try journal.write { try markComplete(file.inode, in: $0) }
        file.forgetLog()
    }

    /// Files that were synced while closed, and have not been opened since.
    private func settleClosed(_ closed: [InodeNumber: FileEnd]) throws {
        guard !closed.isEmpty else { return }
        try table.withLock { table in
            let same = closed.filter { table.unsettled[$0.key] == $0.value }
            let ends = same.map { number, end in
                var end = end
                end.durableSize = end.size
                return (number: number, end: end)
            }
            try settle(ends)
            let whole = same.filter(\.value.isWhole).keys
            if !whole.isEmpty {
                try journal.write { transaction in
                    for number in whole { try markComplete(number, in: transaction) }
                }
            }
            for number in same.keys { table.unsettled[number] = nil }
        }
    }

    private func saveChecksums() throws {
        for file in table.withLock({ $0.open.values.map(\.file) }) { try file.saveChecksums() }
    }

    private func markComplete(_ number: InodeNumber, in transaction: JournalTransaction) throws {
        guard var inode = try transaction.inode(number), inode.local == .partial else { return }
        inode.local = .complete
        try transaction.update(inode)
    }

    private func removeDoomed() throws {
        let numbers = table.withLock { table in
            let closed = table.doomed.filter { table.open[$0] == nil }
            table.doomed.subtract(closed)
            return closed
        }
        guard !numbers.isEmpty else { return }
        let rows = try journal.write { transaction in
            try numbers.compactMap { number in
                guard let inode = try transaction.inode(number), inode.linkCount == 0 else { return nil as Inode? }
                try transaction.deleteInode(number)
                try transaction.discardData(of: number)
                return inode
            }
        }
        table.withLock { table in
            for row in rows {
                table.closedBytes -= table.unsettled[row.number]?.allocated ?? row.localBytes
                table.unsettled[row.number] = nil
                table.failed[row.number] = nil
                table.checked.remove(row.number)
            }
        }
        try removeDiscarded(rows.map(\.number))
    }

    /// Removes data files whose inodes the journal has given up, once that is durable: else a power cut would leave rows
    /// without their data.
    func removeDiscarded(_ numbers: [InodeNumber]) throws {
        guard !numbers.isEmpty else { return }
        try journal.synchronize()
        for number in numbers { try removeData(of: number) }
        // The journal must not forget what a power cut could still bring back.
        do {
            for shard in Set(numbers.map(Self.shardName)) { try disk.synchronizeDirectory(shard) }
        } catch {
            throw CacheError.system(error, during: "syncing the state directory")
        }
        try journal.write { transaction in
            for number in numbers { try transaction.dataDiscarded(of: number) }
        }
    }

    func removeData(of number: InodeNumber) throws {
        do {
            for name in [Self.dataName(number), Self.rangeLogName(number)] {
                do { try disk.remove(name) } catch .isDirectory {
                    try disk.rename(name, to: "quarantine/\(time.wall.nanoseconds)-\(number)")
                }
            }
        } catch {
            throw CacheError.system(error, during: "removing the data file of inode \(number)")
        }
    }
}

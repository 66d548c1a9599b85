import Platform
import SystemPackage

// MARK: Durability

extension FileCache {
    /// Above this many files to sync, one sync of the whole disk costs less than one for each.
    private static let fileSyncLimit = 32

    /// Makes a file's bytes, its name and all journaled before survive a power cut.
    public func synchronize(_ file: CachedFile) throws {
        try synchronizeBytes(of: [file])
        try settle(file, allocated: file.allocatedBytes)
        try journal.synchronize()
    }

    /// The work of the flush timer: makes all that was acknowledged before survive a power cut, brings rows up to
    /// the bytes, and removes what nobody needs. Call it from one thread, every `flush_interval`.
    ///
    /// Everything is tried; the first error is thrown at the end.
    public func flush() throws {
        var failure: (any Error)?
        func attempt(_ work: () throws -> Void) {
            do { try work() } catch { failure = failure ?? error }
        }
        attempt { try closeIdle() }
        let (files, others) = holdUnsynced()
        attempt { try synchronizeBytes(of: files, andClosed: others) }
        attempt { try journalProgress(of: files) }
        for file in files { release(file) }
        attempt { try removeDoomed() }
        attempt { try reportDamagedRows() }
        attempt { try journal.synchronizeIfNeeded() }
        attempt { try journal.checkpoint() }
        attempt { try evictOverLimit() }
        if let failure { throw failure }
    }

    /// Files written or filled since the last flush, each with a reference, and the count of those that are closed
    /// and too many to be opened again: a sync of the whole disk serves them.
    private func holdUnsynced() -> (held: [CachedFile], closed: Int) {
        let (open, closed) = table.withLock { table in
            defer { table.unsynced = [] }
            let open = table.open.values.filter { $0.file.isUnsynced || $0.file.becameComplete }.map(\.file.inode)
            return (open, table.unsynced.subtracting(open))
        }
        let opensAgain = closed.count <= Self.fileSyncLimit
        return (hold(open + (opensAgain ? Array(closed) : [])), opensAgain ? 0 : closed.count)
    }

    private func hold(_ numbers: [InodeNumber]) -> [CachedFile] {
        numbers.compactMap { number in
            do {
                return try acquire(number)
            } catch CacheError.system(.staleNFSFileHandle, _) {
                return nil  // deleted since
            } catch {
                logger.error("cannot open a file to sync it", metadata: ["ino": "\(number)", "error": "\(error)"])
                return nil
            }
        }
    }

    private func synchronizeBytes(of files: [CachedFile], andClosed others: Int = 0) throws {
        guard !files.isEmpty || others > 0 else { return }
        do {
            if files.count + others > Self.fileSyncLimit {
                try disk.synchronizeAll()
            } else {
                for shard in Set(files.map { Self.shardName($0.inode) }) {
                    try disk.synchronizeDirectory(shard)
                }
            }
        } catch {
            throw CacheError.system(error, during: "syncing the state directory")
        }
        // After a sync of the whole disk these find nothing to write.
        for file in files { try file.synchronize() }
    }

    private func journalProgress(of files: [CachedFile]) throws {
        let lastUsed = table.withLock { table in
            defer { table.lastUsed = [:] }
            return table.lastUsed
        }
        let complete = files.filter(\.becameComplete)
        for file in files { try settle(file, allocated: file.allocatedBytes) }
        guard !complete.isEmpty || !lastUsed.isEmpty else { return }
        try journal.write { transaction in
            for file in complete { try markComplete(file.inode, in: transaction) }
            for (number, time) in lastUsed { try transaction.setLastUsed(time, of: number) }
        }
        for file in complete { file.forgetLog() }
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
        table.withLock { $0.closedBytes -= rows.reduce(0) { $0 + $1.localBytes } }
        try removeDiscarded(rows.map(\.number))
    }

    /// Removes data files whose inodes the journal has given up.
    func removeDiscarded(_ numbers: [InodeNumber]) throws {
        for number in numbers { try removeData(of: number) }
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

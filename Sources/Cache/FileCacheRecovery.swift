import Platform
import SystemPackage

// MARK: Recovery

extension FileCache {
    /// Brings journal and data files together after whatever end the former process had. Nothing that may be unsent
    /// is removed: data that no row explains goes to `quarantine/`.
    ///
    /// Opens no data file, but the few that were written when the power was cut: there may be hundreds of thousands.
    ///
    /// What the former process left in the kernel's memory becomes durable with the first flush. The journal at once:
    /// what is removed here must stay unneeded.
    func recover() throws {
        try makeDirectories()
        try journal.synchronize()
        try finishRemovals()
        try settleDirtyFiles()
        try checkDataFiles()
        try reportDamagedRows()
        let bytes = try journal.read { try $0.localBytes() }
        table.withLock { $0.closedBytes = bytes }
    }

    private func makeDirectories() throws {
        do {
            try disk.makeDirectory("quarantine")
            try disk.makeDirectory("data")
            let present = Set(try disk.names(in: "data").map { "data/" + $0 })
            for name in Self.shards where !present.contains(name) { try disk.makeDirectory(name) }
            try disk.synchronizeDirectory("data")
            try disk.synchronizeDirectory(".")
        } catch .notDirectory {
            throw CacheError.corrupt("data is no directory: \(Self.misplaced)")
        } catch {
            throw CacheError.system(error, during: "preparing the state directory")
        }
        do { _ = try disk.names(in: "quarantine") } catch {
            throw CacheError.corrupt("quarantine is no directory that can be read (\(error)): \(Self.misplaced)")
        }
    }

    private static let misplaced = "move what is there to another place, and bring back what was there before"

    private func finishRemovals() throws {
        let discarded = try journal.write { transaction in
            for orphan in try transaction.orphans() {
                guard try transaction.name(of: orphan.number) == nil else {
                    journal.damagedRows.note(orphan.number, "inode \(orphan.number) has a name and counts none")
                    continue
                }
                try transaction.deleteInode(orphan.number)
                try transaction.discardData(of: orphan.number)
            }
            return try transaction.discardedData()
        }
        try removeDiscarded(discarded)
    }

    /// Sizes and times of files that were written when the process died. In the same boot, what they are is in the
    /// kernel's memory for a part, and stays unsettled until it is synced. After a start of the machine it is what is on
    /// the disk, but for times, which no sync of bytes makes durable: the row's count.
    private func settleDirtyFiles() throws {
        let unsettled = try journal.write { transaction in
            let isSameBoot = try beginBoot(transaction)
            if isSameBoot { Self.shards.forEach(removals.add(shard:)) }
            var unsettled: [InodeNumber: FileEnd] = [:]
            var reports = DamageReports(time: time.wall)
            for inode in try transaction.unsentFiles() {
                let status: DiskFileStatus
                do throws(Errno) {
                    status = try disk.status(of: Self.dataName(inode.number))
                } catch {
                    // Of an empty one, the process died between journaling a new file and creating it.
                    if inode.size == 0 && error == .noSuchFileOrDirectory { continue }
                    try reports.add("its unsent bytes cannot be read: \(Self.text(error))", inode, transaction)
                    continue
                }
                guard status.size >= inode.size else {
                    try reports.add(Self.tooShort(status.size, inode), inode, transaction)
                    continue
                }
                if !isSameBoot && status.modified != inode.modified {
                    do throws(Errno) { try restoreTime(of: inode) } catch {
                        try reports.add("its time cannot be set: \(Self.text(error))", inode, transaction)
                    }
                }
                let end = FileEnd(
                    size: status.size, durableSize: isSameBoot ? inode.size : status.size,
                    modified: isSameBoot ? status.modified : inode.modified, isDirty: true,
                    allocated: status.allocated)
                let settled = inode.settled(end)
                if settled != inode { try transaction.updateSizeAndTimes(of: settled) }
                if isSameBoot { unsettled[inode.number] = end }
            }
            try log(transaction.record(reports))
            return unsettled
        }
        table.withLock { table in
            table.unsettled = unsettled
            table.suspects = Set(unsettled.keys)
        }
    }

    /// The next process may find the same boot, and takes the time from the data file then.
    private func restoreTime(of inode: Inode) throws(Errno) {
        try disk.open(Self.dataName(inode.number), .existing).setModified(inode.modified)
    }

    /// Whether the machine has not been started anew since a process settled its files. In one transaction with that:
    /// a process that dies between them would pass what the power cut left for what programs wrote.
    private func beginBoot(_ transaction: JournalTransaction) throws -> Bool {
        let now = "\(boot.high) \(boot.low)"
        if try transaction.property("boot") == now { return true }
        try transaction.setProperty("boot", now)
        try transaction.forgetWhenListed()
        return false
    }

    /// Rows that were found to be damaged since the last call become events.
    func reportDamagedRows() throws {
        let news = journal.damagedRows.takeNews()
        guard !news.isEmpty else { return }
        try journal.write { transaction in
            var reports = DamageReports(time: time.wall)
            for (number, damage) in news { try reports.add(damage, number, transaction) }
            try log(transaction.record(reports))
        }
    }

    func log(_ events: [JournalEvent]) {
        for event in events { logger.error("damage", metadata: ["path": "\(event.path)", "what": "\(event.message)"]) }
    }

    /// What to say of a data file with fewer bytes than were synced.
    static func tooShort(_ size: Int64, _ inode: Inode) -> String {
        "\(size) of its \(inode.size) unsent bytes are left"
    }

    static func text(_ errno: Errno) -> String {
        switch errno {
        case .structureNeedsCleaning: "there is no regular file of this user alone in their place"
        case .noSuchFileOrDirectory: "they are not in the state directory any more"
        default: "\(errno)"
        }
    }

    private func checkDataFiles() throws {
        let known = try journal.read { try $0.inodesWithData() }
        var unexplained: [String] = []
        for shard in try names(in: "data") {
            do {
                for name in try disk.names(in: "data/\(shard)") {
                    let file = "data/\(shard)/\(name)"
                    let number = Self.number(ofDataFile: name)
                    if let number, known.contains(number), file.hasPrefix(Self.dataName(number)) { continue }
                    if try !removeIfEvicted(file, number) { unexplained.append(file) }
                    removals.add(shard: "data/\(shard)")
                }
            } catch Errno.notDirectory {
                unexplained.append("data/\(shard)")
            } catch let errno as Errno {
                throw CacheError.system(errno, during: "reading data/\(shard)")
            }
        }
        try quarantine(unexplained)
        for name in unexplained where !name.dropFirst("data/".count).contains("/") { try makeDirectories() }
    }

    /// Whose data or range log a name in `data/XX/` is.
    static func number(ofDataFile name: String) -> InodeNumber? {
        let digits = name.hasSuffix(".ranges") ? name.dropLast(".ranges".count) : name[...]
        guard let number = UInt64(digits), String(number) == digits else { return nil }
        return InodeNumber(rawValue: number)
    }

    /// The process died between the eviction of a file and the removal of its data.
    private func removeIfEvicted(_ name: String, _ number: InodeNumber?) throws -> Bool {
        guard let number, name.hasPrefix(Self.dataName(number)),
            let row = try? journal.read({ try $0.inode(number) }), row.remote != nil, !row.pending.contains(.content)
        else { return false }
        do throws(Errno) {
            try disk.remove(name)
            return true
        } catch {
            return false
        }
    }

    private func names(in directory: String) throws(CacheError) -> [String] {
        do {
            return try disk.names(in: directory)
        } catch {
            throw .system(error, during: "reading \(directory)")
        }
    }
}

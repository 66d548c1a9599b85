import Platform
import SystemPackage

// MARK: Recovery

extension FileCache {
    /// Brings journal and data files together after whatever end the former process had. Nothing that may be unsent
    /// is removed: data that no row explains goes to `quarantine/`.
    ///
    /// Opens no data file: there may be hundreds of thousands.
    func recover() throws {
        try makeDirectories()
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
            for shard in 0..<UInt64(256) { try disk.makeDirectory(Self.shardName(InodeNumber(rawValue: shard))) }
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

    /// Sizes and times of files that were written when the process died.
    private func settleDirtyFiles() throws {
        try journal.write { transaction in
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
                let settled = inode.settled(
                    FileEnd(size: status.size, modified: status.modified, isDirty: true, allocated: status.allocated))
                if settled != inode { try transaction.updateSizeAndTimes(of: settled) }
            }
            try log(transaction.record(reports))
        }
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

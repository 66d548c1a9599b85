import Platform

// MARK: Recovery

extension FileCache {
    /// Brings journal and data files together after whatever end the former process had. Nothing that may be unsent
    /// is removed: data that no row explains goes to `quarantine/`.
    func recover() throws {
        try makeDirectories()
        try finishRemovals()
        try settleDirtyFiles()
        try checkDataFiles()
        let bytes = try journal.read { try $0.localBytes() }
        table.withLock { $0.closedBytes = bytes }
    }

    private func makeDirectories() throws {
        do {
            try disk.makeDirectory("quarantine")
            try disk.makeDirectory("data")
            for shard in 0..<UInt64(256) {
                try disk.makeDirectory(String(Self.dataName(InodeNumber(rawValue: shard)).prefix(7)))
            }
        } catch {
            throw CacheError.system(error, during: "preparing the state directory")
        }
    }

    private func finishRemovals() throws {
        let discarded = try journal.write { transaction in
            for orphan in try transaction.orphans() {
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
            let isUnsent = { (inode: Inode) in
                inode.kind == .file && inode.aliasOf == nil && inode.pending.contains(.content)
            }
            for var inode in try transaction.pendingInodes() where isUnsent(inode) {
                guard let file = try? disk.open(Self.dataName(inode.number), .existing) else {
                    try reportMissing(inode, in: transaction)
                    continue
                }
                let status = try file.status()
                inode = inode.settled(
                    FileEnd(size: status.size, modified: status.modified, isDirty: true, allocated: status.allocated))
                try transaction.update(inode)
            }
        }
    }

    private func reportMissing(_ inode: Inode, in transaction: JournalTransaction) throws {
        guard inode.size > 0 else { return }  // the process died between journaling a new file and creating it
        let path = try transaction.path(of: inode.number) ?? "inode \(inode.number)"
        logger.error("unsent bytes are gone", metadata: ["path": "\(path)", "ino": "\(inode.number)"])
        try transaction.record(
            JournalEvent(
                kind: .error, path: path, message: "its unsent bytes are not in the state directory any more",
                time: time.wall))
    }

    private func checkDataFiles() throws {
        for shard in try names(in: "data") {
            for name in try names(in: "data/\(shard)") {
                let isLog = name.hasSuffix(".ranges")
                let number = UInt64(isLog ? name.dropLast(".ranges".count) : name[...]).map(InodeNumber.init(rawValue:))
                try check("data/\(shard)/\(name)", of: number)
            }
        }
    }

    private func check(_ name: String, of number: InodeNumber?) throws {
        let row = try number.flatMap { number in try journal.read { try $0.inode(number) } }
        if let row, row.local != .none { return }
        do {
            if row != nil {
                try disk.remove(name)  // evicted, and the process died before the removal
            } else {
                logger.warning("data without an inode is put aside", metadata: ["file": "\(name)"])
                try disk.rename(name, to: "quarantine/\(time.wall.seconds)-\(name.split(separator: "/").last ?? "")")
            }
        } catch {
            throw CacheError.system(error, during: "checking \(name)")
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

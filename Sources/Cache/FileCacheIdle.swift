import Platform

// MARK: Idle files

extension FileCache {
    /// Descriptors that idle files may take.
    private static let idleLimit = 256

    /// A file that nobody has open any more. One with new bytes stays open, idle, until the next flush: what it became
    /// is journaled then, in one transaction for all of them, and often it is opened again before that. A crash loses
    /// nothing by it: recovery takes size and time of files with unsent bytes from their data files.
    func lastReferenceGone(_ file: CachedFile, _ table: inout Table) {
        do {
            if file.isDirty && file.isUnsynced {
                try file.setModified(file.status.modified)
                table.idle.insert(file.inode)
                if table.idle.count >= Self.idleLimit { try closeIdle(&table) }
            } else {
                try close([file], &table)
            }
        } catch {
            logger.error("journaling a closed file failed", metadata: ["ino": "\(file.inode)", "error": "\(error)"])
        }
    }

    /// Journals what idle files became and closes them.
    func closeIdle() throws {
        try table.withLock { try closeIdle(&$0) }
    }

    private func closeIdle(_ table: inout Table) throws {
        let files = table.idle.compactMap { table.open[$0]?.file }
        table.idle = []
        try close(files, &table)
    }

    /// Nobody has a reference to one of `files`, and nobody gets one before this returns: they do not change meanwhile.
    private func close(_ files: [CachedFile], _ table: inout Table) throws {
        var ends: [(number: InodeNumber, end: FileEnd)] = []
        for file in files {
            let allocated = file.allocatedBytes
            table.open[file.inode] = nil
            table.closedBytes += allocated
            if file.isUnsynced || file.becameComplete { table.unsynced.insert(file.inode) }
            ends.append((file.inode, file.end(allocated: allocated)))
        }
        let outdated = try ends.filter { number, end in
            try journal.inode(number).map { $0 != $0.settled(end) } ?? false
        }
        guard !outdated.isEmpty else { return }
        try journal.write { transaction in
            for (number, end) in outdated { try transaction.settle(number, end) }
        }
    }

    /// Brings the row of a file up to its bytes.
    func settle(_ file: CachedFile, allocated: Int64) throws {
        try file.withStatus { size, modified, isDirty in
            let end = FileEnd(size: size, modified: modified, isDirty: isDirty, allocated: allocated)
            guard let row = try journal.inode(file.inode), row != row.settled(end) else { return }
            try journal.write { try $0.settle(file.inode, end) }
        }
    }
}

/// What the bytes of a file became.
struct FileEnd {
    /// Bytes.
    var size: Int64
    var modified: Timestamp
    var isDirty: Bool
    /// Bytes on the disk.
    var allocated: Int64
}

extension CachedFile {
    fileprivate func end(allocated: Int64) -> FileEnd {
        withStatus { FileEnd(size: $0, modified: $1, isDirty: $2, allocated: allocated) }
    }
}

extension JournalTransaction {
    fileprivate func settle(_ number: InodeNumber, _ end: FileEnd) throws {
        guard let inode = try inode(number) else { return }
        try updateSizeAndTimes(of: inode.settled(end))
    }
}

extension Inode {
    func settled(_ end: FileEnd) -> Inode {
        var inode = self
        inode.size = end.size
        inode.localBytes = end.allocated
        if inode.modified != end.modified {
            inode.modified = end.modified
            if end.isDirty { inode.changed = max(inode.changed, end.modified) }
        }
        return inode
    }
}

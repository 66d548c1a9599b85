import Platform
import SystemPackage

// MARK: Idle files

extension FileCache {
    /// Descriptors that idle files may take.
    private static let idleLimit = 256
    /// Closed files with changes of which it is remembered what changed; beyond, all are forgotten.
    private static let changedLimit = 1024

    /// A file that nobody has open any more. One with new bytes, written or fetched, stays open, idle, until the next flush:
    /// what it became is journaled then, in one transaction for all of them, and often it is opened again before that. A
    /// crash loses nothing by it: recovery takes size and time of files with unsent bytes from their data files.
    func lastReferenceGone(_ file: CachedFile, _ table: inout Table) {
        do {
            if file.isUnsynced {
                if file.isDirty { try file.setModified(file.status.modified) }
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
        var checksums: [(number: InodeNumber, pages: BlockChecksums.Pages)] = []
        for file in files {
            let end = file.withEnd(allocated: file.allocatedBytes) { $0 }
            if let pages = file.takeUnsavedChecksums() { checksums.append((file.inode, pages)) }
            rememberChecked(file, &table)
            rememberChanges(file, &table)
            table.open[file.inode] = nil
            table.closedBytes += end.allocated
            table.failed[file.inode] = end.syncError
            if file.isUnsynced || file.becameComplete { table.unsettled[file.inode] = end }
            ends.append((file.inode, end))
        }
        try settle(ends, with: checksums)
    }

    private func rememberChanges(_ file: CachedFile, _ table: inout Table) {
        if table.changed.count >= Self.changedLimit { table.changed = [:] }
        table.changed[file.inode] = file.changedRanges
    }

    /// Brings rows up to what is on the disk, and checksums of what was closed to what was learned.
    func settle(
        _ ends: [(number: InodeNumber, end: FileEnd)],
        with checksums: [(number: InodeNumber, pages: BlockChecksums.Pages)] = []
    ) throws {
        let outdated = try ends.filter { number, end in
            try journal.inode(number).map { $0 != $0.settled(end) } ?? false
        }
        guard !outdated.isEmpty || !checksums.isEmpty else { return }
        try journal.write { transaction in
            for (number, end) in outdated { try transaction.settle(number, end) }
            for (number, pages) in checksums { try transaction.setChecksums(of: number, pages) }
        }
    }

    /// Brings the row of a file up to its bytes that are on the disk.
    func settle(_ file: CachedFile) throws {
        try file.withEnd(allocated: file.allocatedBytes) { end in
            guard let row = try journal.inode(file.inode), row != row.settled(end) else { return }
            try journal.write { try $0.settle(file.inode, end) }
        }
    }
}

/// What the bytes of a file became.
struct FileEnd: Equatable, Sendable {
    /// Bytes.
    var size: Int64
    /// What the row may say of it: of a dirty file, the bytes that are on the disk for good.
    var durableSize: Int64
    var modified: Timestamp
    var isDirty: Bool
    /// Bytes on the disk.
    var allocated: Int64
    /// A sync failed.
    var syncError: Errno?
    /// Every byte of the object is there, which only this says: neither a range log, nor the row yet.
    var isWhole = false
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
        inode.size = end.durableSize
        inode.localBytes = end.allocated
        if inode.modified != end.modified {
            inode.modified = end.modified
            if end.isDirty { inode.changed = max(inode.changed, end.modified) }
        }
        return inode
    }
}

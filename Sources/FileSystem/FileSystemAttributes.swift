import Cache
import Platform
import SystemPackage
import Transfer

// MARK: Attributes

extension FileSystem {
    public func attributes(of number: InodeNumber) throws(Errno) -> (FileAttributes, timeToLive: Duration) {
        (shown(settledSetID(try row(number))), timeToLive)
    }

    public func awaitAttributes(
        of number: InodeNumber, forExtended name: String?, reply: @escaping Reply<Void>
    ) -> (any PendingOperation)? {
        let isKept = name.map { $0.hasPrefix(Self.userPrefix) && !$0.hasPrefix(VirtualAttribute.prefix) } ?? true
        guard isKept, let inode = try? rowIfAny(number), !inode.isMetadataKnown, !link.isOffline else {
            reply(.success(()))
            return nil
        }
        // What is known has to do if the bucket does not answer soon.
        let parked = park(reply, within: Self.renewalDeadline) {
            $0.answer(.success(()))
            return nil
        }
        metadata.load(number) { _ in parked.answer(.success(())) }
        return parked
    }

    public func setAttributes(
        of number: InodeNumber, _ change: AttributeChange, caller: Caller
    ) throws(Errno) -> (FileAttributes, timeToLive: Duration) {
        guard !options.isReadOnly else { throw .readOnlyFileSystem }
        var change = change
        if let size = change.size {
            try truncate(number, to: size)
            try dropSetID(number)
        }
        if change.permissions == nil && (change.userID != nil || change.groupID != nil) {
            change.permissions = permissionsWithoutSetID(of: try row(number))
        }
        if change.changesRow { try changeRow(of: number, change) }
        return try attributes(of: number)
    }

    private func truncate(_ number: InodeNumber, to size: Int64) throws(Errno) {
        guard size >= 0 else { throw .invalidArgument }
        let inode = try row(number)
        switch inode.kind {
        case .directory: throw .isDirectory
        case .symbolicLink, .pipe, .socket, .characterDevice, .blockDevice: throw .invalidArgument
        case .file: break
        }
        // What is added is a hole, which takes no space.
        try withFile(number) { try $0.truncate(to: size) }
    }

    /// Opens a file for one change; its upload follows as after the close of a handle.
    func withFile(_ number: InodeNumber, _ body: (CachedFile) throws -> Void) throws(Errno) {
        do {
            let file = try cache.acquire(number, forWriting: true)
            defer { finishWriting(file) }
            try body(file)
        } catch {
            throw failure(error)
        }
    }

    /// A writer is done: when it was the last one, the file is scheduled for upload.
    func finishWriting(_ file: CachedFile) {
        let isDirty = file.isDirty
        cache.release(file, forWriting: true)
        if isDirty && !cache.isOpenForWriting(file.inode) {
            writeback.schedule(file.inode, after: space.isAnyWaiting ? .zero : options.uploadDelay)
        }
    }

    private func changeRow(of number: InodeNumber, _ change: AttributeChange) throws(Errno) {
        let now = time.wall
        let update = { () throws(Errno) in
            try self.change { transaction in
                var row = try self.inode(number, in: transaction)
                row.apply(change, at: now)
                if change.isWritten(by: self.options.metadata) { try self.markMetadataPending(&row, in: transaction) }
                try transaction.update(row)
            }
        }
        if let modified = change.modified?.timestamp(now), try isHeldLocally(number) {
            try setModified(modified, of: number, commit: update)
        } else {
            try update()
        }
        let inode = try row(number)
        if inode.permissions & 0o6000 != 0 { noticeSetID(of: number) }
        if inode.pending.contains(.metadata) { writeback.schedule(number, after: options.uploadDelay) }
    }

    private func isHeldLocally(_ number: InodeNumber) throws(Errno) -> Bool {
        let inode = try row(number)
        return inode.kind == .file && (inode.pending.contains(.content) || cache.status(of: number) != nil)
    }

    /// The next write through any handle takes the bits away again.
    private func noticeSetID(of number: InodeNumber) {
        let files = table.withLock { $0.files.values.filter { $0.file.inode == number } }
        for file in files { file.mustDropSetID.store(true, ordering: .relaxed) }
        paths.noteSetID(of: number)
    }

    /// Writes that go past this process take set-id bits away when they are seen: before anybody sees the bits again.
    func settledSetID(_ inode: Inode) -> Inode {
        guard inode.kind == .file, inode.permissions & 0o6000 != 0, paths.wasWritten(sinceSetIDOf: inode.number)
        else { return inode }
        do throws(Errno) {
            try dropSetID(inode.number)
            return try row(inode.number)
        } catch {
            paths.noteSetID(of: inode.number)
            return inode
        }
    }

    /// Objects exist whose metadata differ now; what is not in the bucket yet will carry them when it goes.
    func markMetadataPending(_ row: inout Inode, in transaction: JournalTransaction) throws {
        guard row.linkCount > 0, row.number != .root else { return }
        if try transaction.isInBucketOrUnderWay(row) { row.pending.insert(.metadata) }
        if row.linkCount > 1 { try transaction.markAliasesPending(of: row.number) }
    }

    /// Recovery takes the time of an unsent file from its data file.
    private func setModified(
        _ modified: Timestamp, of number: InodeNumber, commit: () throws(Errno) -> Void
    ) throws(Errno) {
        do {
            let file = try cache.acquire(number)
            defer { cache.release(file) }
            try file.setModified(modified, commit: commit)
        } catch {
            throw failure(error)
        }
    }

    /// Writing to a file, cutting it and giving it away take its set-user-ID and set-group-ID bits away (write(2),
    /// truncate(2), chown(2)): the kernel leaves that to us (FUSE_HANDLE_KILLPRIV_V2).
    func dropSetID(_ number: InodeNumber) throws(Errno) {
        guard let permissions = permissionsWithoutSetID(of: try row(number)) else { return }
        var change = AttributeChange()
        change.permissions = permissions
        try changeRow(of: number, change)
    }

    /// Nil if there is nothing to take away.
    private func permissionsWithoutSetID(of inode: Inode) -> UInt16? {
        guard inode.kind != .directory, inode.permissions & 0o6000 != 0 else { return nil }
        // Set-group-ID without group execution stands for mandatory locking and stays (inode(7)).
        let permissions = inode.permissions & (inode.permissions & 0o010 != 0 ? 0o1777 : 0o3777)
        return permissions == inode.permissions ? nil : permissions
    }
}

extension Inode {
    fileprivate mutating func apply(_ change: AttributeChange, at now: Timestamp) {
        permissions = change.permissions ?? permissions
        userID = change.userID ?? userID
        groupID = change.groupID ?? groupID
        accessed = change.accessed?.timestamp(now) ?? accessed
        modified = change.modified?.timestamp(now) ?? modified
        changed = now
    }

}

extension AttributeChange {
    fileprivate var changesRow: Bool { isWritten(by: .full) || accessed != nil }

    /// Whether it is to reach the bucket. An access time alone is not worth a request.
    fileprivate func isWritten(by policy: MetadataPolicy) -> Bool {
        switch policy {
        case .full: permissions != nil || userID != nil || groupID != nil || modified != nil
        case .mtime: modified != nil
        case .none: false
        }
    }
}

extension AttributeChange.Time {
    fileprivate func timestamp(_ now: Timestamp) -> Timestamp {
        switch self {
        case .now: now
        case .at(let time): time
        }
    }
}

import Cache
import ObjectStore
import Platform
import SystemPackage
import Transfer

// MARK: Making names

extension FileSystem {
    public func makeNode(
        _ name: FileName, in parent: InodeNumber, kind: InodeKind, device: UInt64, permissions: UInt16, caller: Caller
    ) throws(Errno) -> Entry {
        let inode = try makeInode(
            name, in: parent, kind: kind, permissions: permissions, device: device, caller: caller)
        writeback.schedule(inode.number, after: options.uploadDelay)
        return entry(inode)
    }

    public func makeDirectory(
        _ name: FileName, in parent: InodeNumber, permissions: UInt16, caller: Caller
    ) throws(Errno) -> Entry {
        let inode = try makeInode(name, in: parent, kind: .directory, permissions: permissions, caller: caller)
        lister.markFresh(inode.number)
        writeback.schedule(inode.number, after: options.uploadDelay)
        return entry(inode)
    }

    public func makeSymbolicLink(
        _ name: FileName, in parent: InodeNumber, target: String, caller: Caller
    ) throws(Errno) -> Entry {
        guard !target.isEmpty else { throw .noSuchFileOrDirectory }
        guard ByteText.decode(target).count <= MetadataLoader.maximumTargetLength else { throw .fileNameTooLong }
        let inode = try makeInode(
            name, in: parent, kind: .symbolicLink, permissions: 0o777, target: target, caller: caller)
        writeback.schedule(inode.number, after: options.uploadDelay)
        return entry(inode)
    }

    func makeInode(
        _ name: FileName, in parent: InodeNumber, kind: InodeKind, permissions: UInt16, target: String? = nil,
        device: UInt64 = 0, caller: Caller
    ) throws(Errno) -> Inode {
        let now = time.wall
        let made = try add { transaction in
            let directory = try place(for: name, in: parent, kind: kind, transaction)
            let inode = try transaction.insertInode { number in
                var inode = Inode(
                    number: number, kind: kind, permissions: permissions & 0o7777, userID: caller.userID,
                    groupID: caller.groupID, time: now)
                inode.linkTarget = target
                inode.device = device
                inode.pending = .content
                inode.local = kind == .file ? .complete : .none
                inherit(from: directory, &inode)
                return inode
            }
            try transaction.link(name, in: parent, to: inode.number)
            if kind == .directory { try transaction.setListed(inode.number, at: time.monotonic) }
            try touch(directory, now, transaction)
            return inode
        }
        madeName(in: parent)
        return made
    }

    func madeName(in parent: InodeNumber) {
        if !link.isOffline { lister.madeName(in: parent) }
    }

    /// The directory in which a name may be made.
    func place(
        for name: FileName, in parent: InodeNumber, kind: InodeKind, _ transaction: JournalTransaction
    ) throws -> Inode {
        let directory = try directory(parent, in: transaction)
        guard directory.linkCount > 0 else { throw Errno.noSuchFileOrDirectory }
        guard try transaction.child(name, of: parent) == nil else { throw Errno.fileExists }
        try checkKeyLength(of: name, in: parent, below: kind == .directory ? 1 : 0, transaction)
        return directory
    }

    /// A directory with the set-group-ID bit gives its group to what is made in it (inode(7)).
    private func inherit(from directory: Inode, _ inode: inout Inode) {
        guard directory.permissions & 0o2000 != 0 else { return }
        inode.groupID = directory.groupID
        if inode.kind == .directory { inode.permissions |= 0o2000 }
    }

    /// The times of a directory follow its names; they alone are not worth a request.
    func touch(_ directory: Inode, _ now: Timestamp, _ transaction: JournalTransaction) throws {
        var directory = directory
        directory.modified = now
        directory.changed = now
        try transaction.updateSizeAndTimes(of: directory)
    }

    /// ENAMETOOLONG when a name is made, not when it is uploaded. `below` is the length of the longest path under it.
    /// EPERM for names that are kept for covered objects (``FileName/covered``).
    func checkKeyLength(
        of name: FileName, in parent: InodeNumber, below: Int, _ transaction: JournalTransaction
    ) throws {
        guard name.uncovered == nil else { throw Errno.notPermitted }
        let path = try transaction.path(of: parent)?.utf8.count ?? 0
        let length = path + (path == 0 ? 0 : 1) + name.string.utf8.count + below
        guard length <= ObjectKey.maximumLength else { throw Errno.fileNameTooLong }
    }
}

// MARK: Taking names away

extension FileSystem {
    public func unlink(_ name: FileName, in parent: InodeNumber) throws(Errno) {
        let now = time.wall
        let gone = try change { transaction in
            let directory = try directory(parent, in: transaction)
            guard let number = try transaction.child(name, of: parent) else { throw Errno.noSuchFileOrDirectory }
            let row = try inode(number, in: transaction)
            guard row.kind != .directory else { throw Errno.isDirectory }
            let gone = try transaction.removeName(name, in: parent, leadingTo: row, at: now)
            try touch(directory, now, transaction)
            return (inode: row.aliasOf ?? number, isGone: gone != nil)
        }
        if gone.isGone { lostLastName(gone.inode) } else { writeback.schedule(gone.inode, after: options.uploadDelay) }
        writeback.tombstonesChanged()
    }

    public func removeDirectory(
        _ name: FileName, in parent: InodeNumber, reply: @escaping Reply<Void>
    ) -> (any PendingOperation)? {
        whenTreeIsKnown(of: [(name, parent)], reply: reply) { () throws(Errno) in
            try self.removeKnownDirectory(name, in: parent)
        }
    }

    private func removeKnownDirectory(_ name: FileName, in parent: InodeNumber) throws(Errno) {
        let now = time.wall
        let gone = try change { transaction in
            let directory = try directory(parent, in: transaction)
            guard let number = try transaction.child(name, of: parent) else { throw Errno.noSuchFileOrDirectory }
            let row = try inode(number, in: transaction)
            guard row.kind == .directory else { throw Errno.notDirectory }
            guard try !transaction.hasChildren(number) else { throw Errno.directoryNotEmpty }
            _ = try transaction.removeName(name, in: parent, leadingTo: row, at: now)
            try touch(directory, now, transaction)
            return number
        }
        lostLastName(gone)
        writeback.tombstonesChanged()
    }

    /// Runs a change of directories when the names below them are known, listing them if need be.
    func whenTreeIsKnown(
        of names: [(FileName, InodeNumber)], reply: @escaping Reply<Void>,
        _ change: @escaping @Sendable () throws(Errno) -> Void
    ) -> (any PendingOperation)? {
        do throws(Errno) {
            guard let unknown = try firstUnknown(names) else {
                reply(.success(try change()))
                return nil
            }
            let parked = park(reply)
            complete(unknown, names, parked, change)
            return parked
        } catch {
            reply(.failure(error))
            return nil
        }
    }

    private func complete(
        _ unknown: InodeNumber, _ names: [(FileName, InodeNumber)], _ parked: ParkedReply<Void>,
        _ change: @escaping @Sendable () throws(Errno) -> Void
    ) {
        lister.completeTree(unknown) { error in
            do throws(Errno) {
                if let error { throw self.failure(error) }
                if let next = try self.firstUnknown(names) { return self.complete(next, names, parked, change) }
                try change()
                parked.answer(.success(()))
            } catch {
                parked.answer(.failure(error))
            }
        }
    }

    private func firstUnknown(_ names: [(FileName, InodeNumber)]) throws(Errno) -> InodeNumber? {
        try read { transaction in
            for (name, parent) in names {
                guard let number = try transaction.child(name, of: parent) else { continue }
                if try !transaction.unlistedDirectories(under: number).isEmpty { return number }
            }
            return nil
        }
    }
}

import Cache
import ObjectStore
import Platform
import SystemPackage
import Transfer

// MARK: Renaming

extension FileSystem {
    public func rename(
        _ name: FileName, in parent: InodeNumber, to newName: FileName, in newParent: InodeNumber,
        flags: RenameFlags, reply: @escaping Reply<Void>
    ) -> (any PendingOperation)? {
        let from = (name, parent)
        let to = (newName, newParent)
        return whenTreeIsKnown(of: [from, to], reply: reply) { () throws(Errno) in
            try self.renameKnown(from, to, flags)
        }
    }

    private func renameKnown(
        _ from: (name: FileName, parent: InodeNumber), _ to: (name: FileName, parent: InodeNumber), _ flags: RenameFlags
    ) throws(Errno) {
        let now = time.wall
        let outcome = try change { transaction in
            let step = try RenameStep(from: from, to: to, flags: flags, in: transaction, of: self)
            return try step.perform(now)
        }
        if let gone = outcome.gone { lostLastName(gone) }
        madeName(in: to.parent)
        writeback.schedule(outcome.moved, after: options.uploadDelay)
        if outcome.hasReplaced { writeback.tombstonesChanged() }
    }
}

/// One rename inside its transaction: the rules of rename(2), then the change.
private struct RenameStep {
    struct Outcome {
        /// Inodes whose objects have to move.
        var moved: [InodeNumber] = []
        var hasReplaced = false
        /// The inode that lost its last name.
        var gone: InodeNumber?
    }

    let from: (name: FileName, parent: InodeNumber)
    let to: (name: FileName, parent: InodeNumber)
    let isExchange: Bool
    let transaction: JournalTransaction
    let fileSystem: FileSystem
    let source: Inode
    let target: Inode?

    init(
        from: (name: FileName, parent: InodeNumber), to: (name: FileName, parent: InodeNumber), flags: RenameFlags,
        in transaction: JournalTransaction, of fileSystem: FileSystem
    ) throws {
        guard flags.isSubset(of: [.noReplace, .exchange]), flags != [.noReplace, .exchange] else {
            throw Errno.invalidArgument
        }
        self.from = from
        self.to = to
        self.transaction = transaction
        self.fileSystem = fileSystem
        isExchange = flags.contains(.exchange)
        guard let number = try transaction.child(from.name, of: from.parent) else { throw Errno.noSuchFileOrDirectory }
        source = try fileSystem.inode(number, in: transaction)
        let parent = try fileSystem.directory(to.parent, in: transaction)
        guard parent.linkCount > 0 else { throw Errno.noSuchFileOrDirectory }
        target = try transaction.child(to.name, of: to.parent).map { try fileSystem.inode($0, in: transaction) }
        if target != nil && flags.contains(.noReplace) { throw Errno.fileExists }
        if target == nil && isExchange { throw Errno.noSuchFileOrDirectory }
    }

    func perform(_ now: Timestamp) throws -> Outcome {
        // Two names of one inode: nothing happens (rename(2)).
        if let target, (source.aliasOf ?? source.number) == (target.aliasOf ?? target.number) { return Outcome() }
        try checkLoop(source, to.parent)
        try checkLength(source, to)
        if isExchange, let target {
            try checkLoop(target, from.parent)
            try checkLength(target, from)
            try transaction.link(from.name, in: from.parent, to: target.number)
            try transaction.link(to.name, in: to.parent, to: source.number)
            return Outcome(moved: try finish(source, now) + finish(target, now))
        }
        try checkReplacement()
        var outcome = Outcome(hasReplaced: target != nil)
        if let target {
            outcome.gone = try transaction.removeName(to.name, in: to.parent, leadingTo: target, at: now)
            // Of its other names, one may have to take the object over.
            if outcome.gone == nil { outcome.moved.append(target.number) }
        }
        try transaction.unlink(from.name, in: from.parent)
        try transaction.link(to.name, in: to.parent, to: source.number)
        outcome.moved += try finish(source, now)
        return outcome
    }

    private func checkLoop(_ inode: Inode, _ parent: InodeNumber) throws {
        guard inode.kind == .directory else { return }
        if try transaction.isInside(parent, of: inode.number) { throw Errno.invalidArgument }
    }

    private func checkLength(_ inode: Inode, _ place: (name: FileName, parent: InodeNumber)) throws {
        let below = inode.kind == .directory ? max(1, try transaction.longestPath(under: inode.number) + 1) : 0
        try fileSystem.checkKeyLength(of: place.name, in: place.parent, below: below, transaction)
    }

    private func checkReplacement() throws {
        guard let target else { return }
        switch (source.kind == .directory, target.kind == .directory) {
        case (true, false): throw Errno.notDirectory
        case (false, true): throw Errno.isDirectory
        case (true, true): if try transaction.hasChildren(target.number) { throw Errno.directoryNotEmpty }
        case (false, false): break
        }
    }

    private func finish(_ inode: Inode, _ now: Timestamp) throws -> [InodeNumber] {
        var changed = try transaction.target(of: fileSystem.inode(inode.number, in: transaction))
        changed.changed = now
        try transaction.update(changed)
        for parent in Set([from.parent, to.parent]) {
            try fileSystem.touch(fileSystem.inode(parent, in: transaction), now, transaction)
        }
        let moved = try transaction.markMoved(inode.number)
        return inode.kind == .directory || moved.contains(inode.number) ? moved : [inode.number]
    }
}

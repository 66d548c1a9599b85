import Cache
import SystemPackage
import Transfer

// MARK: Hard links

extension FileSystem {
    /// The most names of one inode, as in ext4.
    private static let linkLimit = 65_000

    public func makeHardLink(
        _ name: FileName, in parent: InodeNumber, to number: InodeNumber
    ) throws(Errno) -> Entry {
        let now = time.wall
        let (inode, alias) = try add { transaction -> (Inode, InodeNumber) in
            var inode = try self.inode(number, in: transaction)
            guard inode.kind != .directory else { throw Errno.notPermitted }
            // A file that lost its last name does not come back (open(2), O_TMPFILE, is the exception).
            guard inode.linkCount > 0 else { throw Errno.noSuchFileOrDirectory }
            guard inode.linkCount < Self.linkLimit else { throw Errno.tooManyLinks }
            let directory = try place(for: name, in: parent, kind: inode.kind, transaction)
            let alias = try transaction.addAlias(name, in: parent, to: &inode)
            inode.changed = now
            try transaction.update(inode)
            try touch(directory, now, transaction)
            return (inode, alias)
        }
        madeName(in: parent)
        writeback.schedule(alias, after: options.uploadDelay)
        return entry(inode)
    }
}

import GRDB

// MARK: Hard links

// The first name of an inode leads to its row. Each further name leads to a row of its own (``Inode/aliasOf``), which
// says what the bucket knows of that name's object.

extension JournalTransaction {
    /// The inode that a name's row stands for.
    public func target(of row: Inode) throws -> Inode {
        guard let number = row.aliasOf else { return row }
        guard let inode = try inode(number) else {
            throw CacheError.corrupt("name \(row.number) stands for inode \(number), which is not there")
        }
        guard inode.aliasOf == nil else {
            throw CacheError.corrupt("name \(row.number) stands for inode \(number), which is but a name itself")
        }
        return inode
    }

    /// The rows of the further names of an inode, oldest first.
    public func aliases(of inode: InodeNumber) throws -> [Inode] {
        try inodes("WHERE alias_of = ? ORDER BY ino", [inode.sql])
    }

    /// Adds a name to an inode, whose object is still to be made. Returns the name's row.
    public func addAlias(
        _ name: FileName, in parent: InodeNumber, to target: inout Inode
    ) throws -> InodeNumber {
        let alias = try insertInode { number in
            var alias = Inode(
                number: number, kind: target.kind, permissions: target.permissions, userID: target.userID,
                groupID: target.groupID, time: target.modified)
            alias.aliasOf = target.number
            alias.pending = .content
            return alias
        }
        try link(name, in: parent, to: alias.number)
        target.linkCount += 1
        return alias.number
    }

    /// Bytes or attributes of an inode differ from what the objects of its further names have.
    public func markAliasesPending(of inode: InodeNumber) throws {
        try execute(
            "UPDATE inode SET pending = pending | ? WHERE alias_of = ?", [PendingChange.content.rawValue, inode.sql])
    }
}

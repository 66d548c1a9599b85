import Cache
import Platform

// Names taken away from inodes that may have more of them. Each method is part of one transaction of its caller.

extension JournalTransaction {
    /// Takes a name away and records that its object is to be deleted. Returns the inode if that was its last name.
    public func removeName(
        _ name: FileName, in parent: InodeNumber, leadingTo row: Inode, at now: Timestamp
    ) throws -> InodeNumber? {
        try takeName(name, in: parent, from: row, at: now) { inode, heir in
            guard let heir else { return try buryRemote(of: inode) }
            if heir.pending.isEmpty, heir.remote?.etag == inode.remote?.etag, inode.attempt == nil {
                // The same bytes: nothing has to move.
                try buryRemote(of: inode)
                inode.remote = heir.remote
            } else {
                // As by a rename over it.
                try buryRemote(of: heir)
                if inode.remote != nil { inode.pending.insert(.location) }
            }
        }
    }

    /// Takes a name away whose object somebody else deleted or replaced. Returns the inode if that was its last name.
    func forgetName(
        _ name: FileName, in parent: InodeNumber, leadingTo row: Inode, at now: Timestamp
    ) throws -> InodeNumber? {
        try takeName(name, in: parent, from: row, at: now) { inode, heir in
            guard let heir else { return }
            if heir.pending.isEmpty {
                inode.remote = heir.remote
            } else {
                try buryRemote(of: heir)
                inode.remote = nil
                inode.pending.insert(.content)
            }
        }
    }

    /// `release` parts an inode from the object of the name; the second is the further name that becomes its first.
    private func takeName(
        _ name: FileName, in parent: InodeNumber, from row: Inode, at now: Timestamp,
        release: (_ inode: inout Inode, _ heir: Inode?) throws -> Void
    ) throws -> InodeNumber? {
        var row = row
        var inode = try target(of: row)
        let heir = row.aliasOf == nil ? try aliases(of: row.number).first : nil
        if row.aliasOf == nil {
            try release(&inode, heir)
        } else {
            try release(&row, nil)
            try deleteInode(row.number)
        }
        try unlink(name, in: parent)
        if let heir { try promote(heir, toFirstNameOf: inode) }
        inode.linkCount -= 1
        if inode.linkCount == 0 {
            inode.remote = nil
            inode.attempt = nil
        }
        inode.changed = now
        try update(inode)
        return inode.linkCount == 0 ? inode.number : nil
    }

    private func promote(_ alias: Inode, toFirstNameOf inode: Inode) throws {
        guard let (parent, name) = try self.name(of: alias.number) else {
            throw CacheError.corrupt("no name leads to row \(alias.number) of inode \(inode.number)")
        }
        try link(name, in: parent, to: inode.number)
        try deleteInode(alias.number)
    }
}

import Cache

extension PosixMetadata {
    /// Brings what an object's metadata says into an inode that does not know it yet. What was changed here since is
    /// newer. The caller writes the row; extended attributes are written here.
    ///
    /// `target`: of a symbolic link.
    func apply(to inode: inout Inode, target: String?, in transaction: JournalTransaction) throws {
        guard !inode.isMetadataKnown else { return }
        inode.isMetadataKnown = true
        switch kind {
        case .symbolicLink? where inode.kind == .file && target != nil:
            inode.kind = .symbolicLink
            inode.linkTarget = target
        case let kind? where inode.kind == .file && inode.size == 0 && kind.isSpecial:
            inode.kind = kind
            inode.device = kind.isDevice ? device ?? 0 : 0
        default: break
        }
        guard !inode.pending.contains(.metadata) else { return }
        inode.permissions = permissions ?? inode.permissions
        inode.userID = userID ?? inode.userID
        inode.groupID = groupID ?? inode.groupID
        inode.modified = modified ?? inode.modified
        inode.changed = changed ?? inode.modified
        inode.accessed = accessed ?? inode.modified
        for (name, value) in extendedAttributes {
            try transaction.setExtendedAttribute(name, to: value, of: inode.number)
        }
    }
}

import SystemPackage

// Attributes: stat(2), chown(2), xattr(7).

extension ReferenceFileSystem {
    func status(of number: Int) throws(Errno) -> FileStatus {
        guard let inode = inodes[number] else { throw .noSuchFileOrDirectory }
        let size: Int64 =
            switch inode.body {
            case .file(let bytes): Int64(bytes.count)
            case .directory, .socket: 0
            case .link(let target): Int64(target.utf8.count)
            }
        // The kernel may know of a name that somebody else took away, for a while.
        let links = inode.isLostElsewhere ? nil : inode.links
        return FileStatus(
            kind: inode.kind, permissions: inode.permissions, links: links, userID: inode.userID,
            groupID: inode.groupID, size: size, modified: inode.modified)
    }

    mutating func chown(_ number: Int, _ user: UInt32, _ group: UInt32) throws(Errno) {
        inodes[number]?.userID = user
        inodes[number]?.groupID = group
        inodes[number]?.dropSetID()
    }

    mutating func setAttribute(
        _ name: String, to value: [UInt8], of path: String, _ rule: AttributeRule
    ) throws(Errno) {
        let number = try find(path, follow: false)
        guard inodes[number]?.mayHaveAttributes == true else { throw .notPermitted }
        let exists = inodes[number]?.attributes[name] != nil
        if exists && rule == .create { throw .fileExists }
        if !exists && rule == .replace { throw .noData }
        inodes[number]?.attributes[name] = value
    }

    func attribute(_ name: String, of path: String) throws(Errno) -> [UInt8] {
        guard let value = inodes[try find(path, follow: false)]?.attributes[name] else { throw .noData }
        return value
    }

    mutating func removeAttribute(_ name: String, of path: String) throws(Errno) {
        let number = try find(path, follow: false)
        guard inodes[number]?.mayHaveAttributes == true else { throw .notPermitted }
        guard inodes[number]?.attributes.removeValue(forKey: name) != nil else { throw .noData }
    }

    func attributeNames(of path: String) throws(Errno) -> [String] {
        inodes[try find(path, follow: false)]?.attributes.keys.sorted() ?? []
    }
}

extension ReferenceFileSystem.Inode {
    /// xattr(7): user attributes are for files and directories.
    var mayHaveAttributes: Bool { kind == .file || kind == .directory }

    /// Set-group-ID without group execution stands for mandatory locking and stays (inode(7)).
    mutating func dropSetID() {
        guard kind == .file || kind == .socket else { return }
        permissions.bits &= permissions.bits & 0o010 != 0 ? 0o1777 : 0o3777
    }
}

import SystemPackage

// Names: mkdir(2), rmdir(2), unlink(2), rename(2), link(2), symlink(2), readlink(2).

extension ReferenceFileSystem {
    mutating func makeDirectory(_ path: String, _ mode: Mode) throws(Errno) {
        _ = try make(place(path), .directory([:]), mode)
    }

    mutating func makeLink(_ path: String, to target: String) throws(Errno) {
        guard !target.isEmpty else { throw .noSuchFileOrDirectory }
        _ = try make(place(path), .link(target), 0o777)
    }

    mutating func link(_ path: String, to newPath: String) throws(Errno) {
        let (inode, place) = (try find(path, follow: false), try place(newPath))
        guard place.inode == nil else { throw .fileExists }
        guard inodes[inode]?.kind != .directory else { throw .notPermitted }
        link(inode, place.name, in: place.parent)
        inodes[inode]?.links += 1
    }

    func readLink(_ path: String) throws(Errno) -> String {
        guard case .link(let target) = inodes[try find(path, follow: false)]?.body else { throw .invalidArgument }
        return target
    }

    /// A new inode under a name that must be free.
    mutating func make(_ place: Place, _ body: Body, _ mode: Mode) throws(Errno) -> Int {
        guard place.inode == nil else { throw .fileExists }
        let parent = inodes[place.parent]
        let isInherited = (parent?.permissions.bits ?? 0) & 0o2000 != 0
        var inode = Inode(
            body: body, permissions: mode, userID: userID, groupID: isInherited ? parent?.groupID ?? 0 : groupID,
            links: 1)
        if inode.kind == .directory {
            inode.links = 2
            if isInherited { inode.permissions.bits |= 0o2000 }
        }
        defer { nextInode += 1 }
        inodes[nextInode] = inode
        link(nextInode, place.name, in: place.parent)
        return nextInode
    }

    mutating func removeDirectory(_ path: String) throws(Errno) {
        let place = try place(path)
        guard let inode = place.inode else { throw .noSuchFileOrDirectory }
        guard try entries(of: inode).isEmpty else { throw .directoryNotEmpty }
        remove(place)
    }

    mutating func unlink(_ path: String) throws(Errno) {
        let place = try place(path)
        guard let inode = place.inode else { throw .noSuchFileOrDirectory }
        guard inodes[inode]?.kind != .directory else { throw .isDirectory }
        remove(place)
    }

    mutating func rename(_ path: String, to newPath: String, _ rule: RenameRule) throws(Errno) {
        let (from, to) = (try place(path), try place(newPath))
        guard let source = from.inode else { throw .noSuchFileOrDirectory }
        if to.inode != nil && rule == .noReplace { throw .fileExists }
        if to.inode == nil && rule == .exchange { throw .noSuchFileOrDirectory }
        if to.directories.contains(source) { throw .invalidArgument }
        if let target = to.inode, from.directories.contains(target) {
            throw rule == .exchange ? .invalidArgument : .directoryNotEmpty
        }
        guard source != to.inode else { return }
        if rule == .exchange, let target = to.inode {
            link(target, from.name, in: from.parent)
        } else {
            try checkReplacement(of: to.inode, by: source)
            if to.inode != nil { remove(to) }
            unlink(from.name, in: from.parent)
        }
        link(source, to.name, in: to.parent)
    }

    private func checkReplacement(of target: Int?, by source: Int) throws(Errno) {
        guard let target else { return }
        switch (inodes[source]?.kind == .directory, inodes[target]?.kind == .directory) {
        case (true, false): throw .notDirectory
        case (false, true): throw .isDirectory
        case (true, true): if try !entries(of: target).isEmpty { throw .directoryNotEmpty }
        case (false, false): break
        }
    }

    /// Takes a name away; the inode goes with its last name and its last handle.
    mutating func remove(_ place: Place) {
        guard let inode = place.inode else { return }
        unlink(place.name, in: place.parent)
        let names = inodes[inode]?.kind == .directory ? 2 : 1
        inodes[inode]?.links -= names
        forgetIfUnused(inode)
    }

    mutating func forgetIfUnused(_ inode: Int) {
        guard inodes[inode]?.links == 0, !handles.values.contains(where: { $0.inode == inode }) else { return }
        inodes[inode] = nil
    }

    mutating func link(_ inode: Int, _ name: String, in parent: Int) {
        guard case .directory(var entries) = inodes[parent]?.body else { return }
        entries[name] = inode
        inodes[parent]?.body = .directory(entries)
        inodes[parent]?.modified = nil
    }

    private mutating func unlink(_ name: String, in parent: Int) {
        guard case .directory(var entries) = inodes[parent]?.body else { return }
        entries[name] = nil
        inodes[parent]?.body = .directory(entries)
        inodes[parent]?.modified = nil
    }
}

extension ReferenceFileSystem.Inode {
    public var kind: FileKind {
        switch body {
        case .file: .file
        case .directory: .directory
        case .link: .link
        case .socket: .socket
        }
    }
}

import Platform
import SystemPackage

// What happens to a mount besides its programs' calls.

extension ReferenceFileSystem {
    /// The processes that had files open are gone.
    public mutating func closeAll() {
        let open = Set(handles.values.map(\.inode))
        handles = [:]
        for inode in open { forgetIfUnused(inode) }
    }

    /// The state directory is a new one: what a bucket does not carry is lost. Set-id bits are never taken from one,
    /// and each name has an object of its own.
    public mutating func forgetWhatNoBucketHolds() {
        closeAll()
        for path in tree.keys.sorted() { separate(path) }
        for number in inodes.keys where number != Self.root { inodes[number]?.permissions.bits &= 0o1777 }
    }

    private mutating func separate(_ path: String) {
        guard var inode = inode(at: path), inode.links > 1, inode.kind != .directory else { return }
        do { try unlink(path) } catch { return }
        inode.links = 1
        inodes[nextInode] = inode
        do { try link(nextInode, place(path).name, in: place(path).parent) } catch { return }
        nextInode += 1
    }

    /// Somebody else put an object at a path: a new file, whatever was there; whoever has the former open keeps it.
    public mutating func receive(_ bytes: [UInt8], at path: String, permissions: Mode) throws(Errno) {
        if try place(path).inode != nil { try lose(path) }
        let inode = try make(place(path), .file(bytes), permissions)
        inodes[inode]?.userID = 0
        inodes[inode]?.groupID = 0
    }

    /// Somebody else deleted the object at a path.
    public mutating func lose(_ path: String) throws(Errno) {
        let place = try place(path)
        guard let inode = place.inode else { throw .noSuchFileOrDirectory }
        if inodes[inode]?.links == 1 { inodes[inode]?.isLostElsewhere = true }
        remove(place)
    }

    /// The bytes of a file became others without a program's doing.
    public mutating func setBytes(_ bytes: [UInt8], at path: String) throws(Errno) {
        let inode = try find(path, follow: false)
        guard inodes[inode]?.body != .file(bytes) else { return }
        inodes[inode]?.body = .file(bytes)
        inodes[inode]?.modified = nil
    }

    /// The number of what is at a path: one for all of its names.
    public func number(at path: String) -> Int? {
        do { return try find(path, follow: false) } catch { return nil }
    }

    /// The number of the file that a slot has open.
    public func number(openAs slot: Int) -> Int? { handles[slot]?.inode }

    /// The inode that a slot has open.
    public func openInode(_ slot: Int) -> Inode? { handles[slot].flatMap { inodes[$0.inode] } }

    /// A file that a program may still write to keeps its name, whatever somebody else does to its object. With passthrough
    /// it may as long as others have it open, once it was opened for both.
    public func isOpenForWriting(_ path: String) -> Bool {
        do {
            let inode = try find(path, follow: false)
            return mayBeMapped.contains(inode)
                || handles.values.contains { $0.inode == inode && $0.flags.contains(.write) }
        } catch {
            return false
        }
    }

    /// Open slots, ascending.
    public var openSlots: [Int] { handles.keys.sorted() }

    /// Nil where nothing is.
    public func kind(_ path: String) -> FileKind? { inode(at: path)?.kind }

    public func inode(at path: String) -> Inode? {
        do { return inodes[try find(path, follow: false)] } catch { return nil }
    }

    /// Every name but the root's, with what it leads to.
    public var tree: [String: Inode] {
        var tree: [String: Inode] = [:]
        var open = [(path: "", inode: Self.root)]
        while let (path, inode) = open.popLast() {
            guard case .directory(let entries) = inodes[inode]?.body else { continue }
            for (name, child) in entries {
                let childPath = path.isEmpty ? name : path + "/" + name
                tree[childPath] = inodes[child]
                open.append((childPath, child))
            }
        }
        return tree
    }
}

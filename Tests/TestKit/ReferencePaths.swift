import SystemPackage

// Path resolution: path_resolution(7).

extension ReferenceFileSystem {
    /// Where a path leads: the directories on the way, the last component, and what is there.
    struct Place {
        /// From the root down; the last one holds the name.
        var directories: [Int]
        /// Empty for the root.
        var name: String
        var inode: Int?

        var parent: Int { directories.last ?? ReferenceFileSystem.root }
    }

    private static let linkLimit = 40

    /// `follow`: whether a symbolic link at the end is followed.
    func place(_ path: String, follow: Bool = false) throws(Errno) -> Place {
        var left = Self.components(path)
        var place = Place(directories: [], name: "", inode: Self.root)
        var links = 0
        while let name = left.popLast() {
            try step(&place, to: name)
            guard let inode = place.inode, case .link(let target) = inodes[inode]?.body else { continue }
            guard follow || !left.isEmpty else { break }
            links += 1
            guard links <= Self.linkLimit else { throw .tooManySymbolicLinkLevels }
            // Nothing that a history names is outside of the file system.
            guard !target.hasPrefix("/") else { throw .noSuchFileOrDirectory }
            left += Self.components(target)
            place.inode = place.parent
            place.name = ""
            place.directories.removeLast()
        }
        return place
    }

    /// Last first.
    private static func components(_ path: String) -> [String] {
        path.split(separator: "/").map(String.init).reversed()
    }

    private func step(_ place: inout Place, to name: String) throws(Errno) {
        guard let inode = place.inode else { throw .noSuchFileOrDirectory }
        let entries = try entries(of: inode)
        if name == ".." {
            place.inode = place.directories.popLast() ?? Self.root
            return
        }
        place.directories.append(inode)
        place.name = name
        place.inode = entries[name]
    }

    func find(_ path: String, follow: Bool = true) throws(Errno) -> Int {
        guard let inode = try place(path, follow: follow).inode else { throw .noSuchFileOrDirectory }
        return inode
    }

    func entries(of inode: Int) throws(Errno) -> [String: Int] {
        guard case .directory(let entries) = inodes[inode]?.body else { throw .notDirectory }
        return entries
    }
}

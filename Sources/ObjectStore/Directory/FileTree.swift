import CLinux

/// Files below one directory, reached component by component and never through a symbolic link, so that nothing
/// planted in the tree leads out of it.
///
/// A component that is a link or a file where a directory is needed fails with ENOTDIR (openat(2), O_NOFOLLOW with
/// O_DIRECTORY).
struct FileTree: Sendable {
    let root: Descriptor

    init(path: String) throws(SystemFault) {
        root = Descriptor(
            owning: try SystemFault.check("open \(path)") {
                sluice_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0)
            })
    }

    func directory(_ path: [String]) throws(SystemFault) -> Descriptor {
        var current = root
        for name in path { current = try Self.openDirectory(name, in: current) }
        return current
    }

    /// Creates what is missing on the way. Directories whose entries changed are appended to `changed`, to be
    /// synchronized by the caller.
    func makeDirectory(_ path: [String], changed: inout [Descriptor]) throws(SystemFault) -> Descriptor {
        var current = root
        for name in path {
            do {
                current = try Self.openDirectory(name, in: current)
            } catch let error where error.code == ENOENT {
                let parent = current
                do {
                    try SystemFault.check("mkdirat") { mkdirat(parent.raw, name, 0o777) }
                    changed.append(parent)
                } catch let error where error.code == EEXIST {
                    // Somebody else made it just now.
                }
                current = try Self.openDirectory(name, in: parent)
            }
        }
        return current
    }

    func makeDirectory(_ path: [String]) throws(SystemFault) -> Descriptor {
        var changed: [Descriptor] = []
        let made = try makeDirectory(path, changed: &changed)
        for directory in changed { try directory.synchronize() }
        return made
    }

    /// Nil unless `path` names a regular file.
    func file(_ path: [String]) throws(SystemFault) -> (file: Descriptor, status: FileStatus)? {
        guard let name = path.last else { return nil }
        do {
            return try Self.file(name, in: directory(path.dropLast()))
        } catch let error where error.meansAbsent {
            return nil
        }
    }

    /// O_NONBLOCK: a pipe in the tree must not hold us up.
    static func file(
        _ name: String, in directory: Descriptor
    ) throws(SystemFault) -> (file: Descriptor, status: FileStatus)? {
        do {
            let raw = try SystemFault.check("openat") {
                sluice_openat(directory.raw, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0)
            }
            let file = Descriptor(owning: raw)
            let status = try file.status()
            return status.isFile ? (file, status) : nil
        } catch let error where error.meansAbsent {
            return nil
        }
    }

    /// Removes a file; false if there is none.
    static func remove(_ name: String, in directory: Descriptor) throws(SystemFault) -> Bool {
        do {
            try SystemFault.check("unlinkat") { unlinkat(directory.raw, name, 0) }
            return true
        } catch let error where error.meansAbsent {
            return false
        }
    }

    /// Removes the directory at `path` and its parents, up to but not including `path[..<keeping]`, as long as they
    /// are empty and `mayGo` says so. Returns the directory that lost an entry last.
    @discardableResult
    func prune(
        _ path: [String], keeping: Int, mayGo: (_ path: [String], _ directory: Descriptor) throws(SystemFault) -> Bool
    ) throws(SystemFault) -> Descriptor? {
        var path = path
        var changed: Descriptor?
        while path.count > keeping, let name = path.last {
            do {
                let parent = try directory(path.dropLast())
                guard try mayGo(path, Self.openDirectory(name, in: parent)) else { break }
                try SystemFault.check("unlinkat") { unlinkat(parent.raw, name, AT_REMOVEDIR) }
                changed = parent
            } catch let error where error.code == ENOTEMPTY || error.code == EEXIST || error.code == EBUSY {
                break
            } catch let error where error.meansAbsent {
                // Its parents may still have to go.
            }
            path.removeLast()
        }
        return changed
    }

    static func openDirectory(_ name: String, in parent: Descriptor) throws(SystemFault) -> Descriptor {
        Descriptor(
            owning: try SystemFault.check("openat") {
                sluice_openat(parent.raw, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
            })
    }
}

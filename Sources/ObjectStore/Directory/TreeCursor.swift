/// Walks one of the two trees of a ``DirectoryStore`` in byte order of the keys, one directory in memory at a time
/// for every level it is in.
struct TreeCursor {
    /// What the names of a tree mean.
    enum Naming {
        /// Paths are keys.
        case plain
        /// Below the reserved directory, names are escaped.
        case escaped
    }

    enum Item {
        case object(key: [UInt8], path: [String])
        /// A directory that is an object.
        case marker(key: [UInt8], path: [String])
        /// A directory that holds at least one object, not walked because all its keys fold into one prefix.
        case folded(prefix: [UInt8])

        var sortKey: [UInt8] {
            switch self {
            case .object(let key, _), .marker(let key, _), .folded(let key): key
            }
        }
    }

    private struct Frame {
        var path: [String]
        /// What all keys in the directory start with.
        var key: [UInt8]
        var entries: [TreeEntry]
        var next = 0
        /// The directory when it was read.
        var status: FileStatus
    }

    private let tree: FileTree
    private let naming: Naming
    private let scope: ListingScope
    /// Nanoseconds since 1970, by the wall clock.
    private let openedAt: Int64
    private let isMarker: @Sendable (Descriptor, [String]) throws(SystemFault) -> Bool
    private var frames: [Frame] = []
    private var pending: Item?

    /// `isMarker` says whether a directory that has entries is an object all the same.
    init(
        _ tree: FileTree, _ naming: Naming, _ scope: ListingScope, now: Int64,
        isMarker: @escaping @Sendable (Descriptor, [String]) throws(SystemFault) -> Bool
    ) throws(SystemFault) {
        self.tree = tree
        self.naming = naming
        self.scope = scope
        openedAt = now
        self.isMarker = isMarker
        let start = scope.deepestDirectory
        switch naming {
        case .escaped: try enter(DirectoryLayout.keys + DirectoryLayout.escapedDirectory(start), key: scope.startKey)
        case .plain:
            if start.isEmpty {
                try enter([], key: [])
            } else if let path = DirectoryLayout.plainPath(ObjectKey(String(decoding: scope.startKey, as: UTF8.self))) {
                try enter(path.components, key: scope.startKey)
            }
        }
    }

    mutating func next() throws(SystemFault) -> Item? {
        while true {
            if let item = pending {
                pending = nil
                return item
            }
            guard let top = frames.last else { return nil }
            guard top.next < top.entries.count else {
                frames.removeLast()
                continue
            }
            frames[frames.count - 1].next += 1
            let entry = top.entries[top.next]
            let key = top.key + entry.tail
            let path = top.path + [entry.name]
            if !entry.isDirectory { return .object(key: key, path: path) }
            if naming == .plain, scope.folds(subtree: key) { return .folded(prefix: key) }
            try enter(path, key: key)
        }
    }

    /// Whether the directories that the walk is in still hold what they held when they were read. A change within
    /// the second before the reading may have left the same time stamp, so such a directory never counts as unchanged.
    func isCurrent() throws(SystemFault) -> Bool {
        let second: Int64 = 1_000_000_000
        for frame in frames {
            guard frame.status.changed + second < openedAt else { return false }
            do {
                guard try tree.directory(frame.path).status() == frame.status else { return false }
            } catch let error where error.meansAbsent {
                return false
            }
        }
        return true
    }

    /// Directories and files that went meanwhile are passed over.
    private mutating func enter(_ path: [String], key: [UInt8]) throws(SystemFault) {
        let directory: Descriptor
        do {
            directory = try tree.directory(path)
        } catch let error where error.meansAbsent {
            return
        }
        let status = try directory.status()
        let names = try DirectoryEntries(of: directory)
        if naming == .plain, !path.isEmpty, scope.wants(key: key) {
            let isObject = names.isEmpty ? true : try isMarker(directory, path)
            if isObject { pending = .marker(key: key, path: path) }
        }
        var entries = names.entries.compactMap { entry($0, isRoot: path.isEmpty, below: key) }
        entries.sort()
        frames.append(Frame(path: path, key: key, entries: entries, status: status))
    }

    private func entry(_ found: DirectoryEntries.Entry, isRoot: Bool, below key: [UInt8]) -> TreeEntry? {
        guard found.kind != .other, !(naming == .plain && isRoot && found.name == DirectoryLayout.reserved) else {
            return nil
        }
        let isDirectory = found.kind == .directory
        let entry =
            naming == .plain
            ? TreeEntry(plain: found.name, isDirectory: isDirectory)
            : TreeEntry(escaped: found.name, isDirectory: isDirectory)
        guard let entry else { return nil }
        let whole = key + entry.tail
        guard whole.count <= ObjectKey.maximumLength else { return nil }
        return (isDirectory ? scope.mayHold(subtree: whole) : scope.wants(key: whole)) ? entry : nil
    }
}

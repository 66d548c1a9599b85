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

    private struct Entry {
        /// The key so far; for a directory the start of all keys in it.
        var key: [UInt8]
        var name: String
        var isDirectory: Bool
    }

    private struct Frame {
        var path: [String]
        var entries: [Entry]
        var next = 0
    }

    private let tree: FileTree
    private let naming: Naming
    private let scope: ListingScope
    private let isMarker: (Descriptor, [String]) throws(SystemFault) -> Bool
    private var frames: [Frame] = []
    private var pending: Item?

    /// `isMarker` says whether a directory that has entries is an object all the same.
    init(
        _ tree: FileTree, _ naming: Naming, _ scope: ListingScope,
        isMarker: @escaping (Descriptor, [String]) throws(SystemFault) -> Bool
    ) throws(SystemFault) {
        self.tree = tree
        self.naming = naming
        self.scope = scope
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
            let path = top.path + [entry.name]
            if !entry.isDirectory { return .object(key: entry.key, path: path) }
            if naming == .plain, scope.folds(subtree: entry.key) { return .folded(prefix: entry.key) }
            try enter(path, key: entry.key)
        }
    }

    /// Directories and files that went meanwhile are passed over.
    private mutating func enter(_ path: [String], key: [UInt8]) throws(SystemFault) {
        let directory: Descriptor
        do {
            directory = try tree.directory(path)
        } catch let error where error.meansAbsent {
            return
        }
        let names = try DirectoryEntries(of: directory)
        if naming == .plain, !path.isEmpty, scope.wants(key: key) {
            let isObject = names.isEmpty ? true : try isMarker(directory, path)
            if isObject { pending = .marker(key: key, path: path) }
        }
        var entries = names.entries.compactMap { entry($0, in: path, below: key) }
        entries.sort { $0.key.lexicographicallyPrecedes($1.key) }
        frames.append(Frame(path: path, entries: entries))
    }

    private func entry(_ found: DirectoryEntries.Entry, in path: [String], below key: [UInt8]) -> Entry? {
        guard found.kind != .other else { return nil }
        let isDirectory = found.kind == .directory
        guard let tail = tail(found.name, isDirectory, isRoot: path.isEmpty) else { return nil }
        let entry = Entry(key: key + tail, name: found.name, isDirectory: isDirectory)
        guard entry.key.count <= ObjectKey.maximumLength else { return nil }
        return (isDirectory ? scope.mayHold(subtree: entry.key) : scope.wants(key: entry.key)) ? entry : nil
    }

    /// What a name adds to the key; nil if the name is not part of any.
    private func tail(_ name: String, _ isDirectory: Bool, isRoot: Bool) -> [UInt8]? {
        let slash = UInt8(ascii: "/")
        switch naming {
        case .plain:
            if isRoot && name == DirectoryLayout.reserved { return nil }
            return isDirectory ? Array(name.utf8) + [slash] : Array(name.utf8)
        case .escaped:
            guard let piece = DirectoryLayout.piece(of: name), (piece.kind == .object) == !isDirectory else {
                return nil
            }
            return piece.kind == .directory ? piece.bytes + [slash] : piece.bytes
        }
    }
}

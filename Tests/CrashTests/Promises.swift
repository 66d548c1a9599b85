import TestKit

/// What returned calls have promised, told as the trees that a crash may leave. Pure.
///
/// A kill leaves the last one. A power cut leaves names and attributes as they were at one moment since the last flush
/// or sync of anything, and of each file bytes that it had at moments since its own last sync: each sector by itself.
struct Promises {
    /// The tree after each call since the last flush; the last is what programs see.
    private(set) var states: [ReferenceFileSystem]
    /// The oldest that the names may be as.
    private var durable = 0
    /// The oldest that the bytes of a file may be as, by its number.
    private var synced: [Int: Int] = [:]
    /// Contents that any file had at any moment: what objects may hold.
    private(set) var moments: Set<[UInt8]> = [[]]

    init(_ tree: ReferenceFileSystem) {
        states = [tree]
    }

    var now: ReferenceFileSystem { states[states.count - 1] }

    /// A call returned.
    mutating func returned(_ tree: ReferenceFileSystem) {
        states.append(tree)
        remember(tree)
    }

    private mutating func remember(_ tree: ReferenceFileSystem) {
        for inode in tree.inodes.values {
            if case .file(let bytes) = inode.body { moments.insert(bytes) }
            if case .link(let target) = inode.body { moments.insert(Array(target.utf8)) }
        }
    }

    /// A file was synced, and with it everything that was journaled before.
    mutating func returnedSync(of number: Int) {
        durable = states.count - 1
        synced[number] = durable
    }

    /// The flush timer did its work.
    mutating func flushed() {
        states = [now]
        durable = 0
        synced = [:]
    }

    // MARK: Crashes

    /// Nil if what is there after a kill is as promised; it is `now` from here on. `underWay`: the tree that the call
    /// which did not return would have left; of a write, some bytes may be there and others not.
    mutating func findKilled(_ found: TreeSnapshot, underWay: ReferenceFileSystem?) throws -> String? {
        var reasons: [String] = []
        for candidate in [now] + [underWay].compactMap({ $0 }) {
            var tree = candidate
            tree.closeAll()
            let differences = found.differences(from: tree) { number, _, bytes in
                Self.allows(bytes, number, in: [now, tree])
            }
            if differences.isEmpty {
                try tree.setBytes(found)
                returned(tree)
                return nil
            }
            reasons.append(differences.joined(separator: "; "))
        }
        return reasons.joined(separator: "\n  or ")
    }

    /// The same after a power cut, which makes everything that is left durable.
    mutating func findCut(_ found: TreeSnapshot, underWay: ReferenceFileSystem?) throws -> String? {
        let all = states + [underWay].compactMap { $0 }
        var best: [String]?
        for candidate in all[durable...].reversed() {
            var tree = candidate
            tree.closeAll()
            let differences = found.differences(from: tree) { number, _, bytes in
                Self.allows(bytes, number, in: all[(synced[number] ?? 0)...])
            }
            if differences.isEmpty {
                try restart(with: tree, found)
                return nil
            }
            if differences.count < best?.count ?? .max { best = differences }
        }
        return best?.joined(separator: "; ")
    }

    /// Whether each byte is one that the file had at its place at one of the moments.
    private static func allows(
        _ bytes: [UInt8], _ number: Int, in moments: some Sequence<ReferenceFileSystem>
    ) -> Bool {
        let contents = moments.compactMap { tree -> [UInt8]? in
            guard case .file(let bytes) = tree.inodes[number]?.body else { return nil }
            return bytes
        }
        let sizes = contents.map(\.count)
        guard let least = sizes.min(), let most = sizes.max(), least...most ~= bytes.count else { return false }
        return bytes.indices.allSatisfy { index in
            contents.contains { index < $0.count ? $0[index] == bytes[index] : bytes[index] == 0 }
        }
    }

    private mutating func restart(with tree: ReferenceFileSystem, _ found: TreeSnapshot) throws {
        var tree = tree
        try tree.setBytes(found)
        states = [tree]
        durable = 0
        synced = [:]
        remember(tree)
    }
}

extension ReferenceFileSystem {
    /// Files get the bytes that were found.
    fileprivate mutating func setBytes(_ found: TreeSnapshot) throws {
        for (path, node) in found.nodes where node.status.kind == .file {
            try setBytes(node.bytes, at: path)
        }
    }
}

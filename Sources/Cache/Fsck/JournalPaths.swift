/// The paths of inodes by the names of a journal that may be damaged.
struct JournalPaths {
    /// Of each inode, one name; a sound one if it has any.
    private var names: [Int64: JournalContents.Name] = [:]
    private static let longestWay = 100_000

    init(_ contents: JournalContents) {
        for name in contents.names {
            if names[name.inode].map({ $0.name == nil }) ?? true { names[name.inode] = name }
        }
    }

    func hasName(_ inode: Int64) -> Bool { names[inode] != nil }

    /// As in keys, each component as the journal has it; nil if no way from the root leads there.
    func components(of inode: Int64) -> [String]? {
        var components: [String] = []
        var current = inode
        while current != InodeNumber.root.sql {
            guard let name = names[current], components.count < Self.longestWay else { return nil }
            components.append(name.name ?? "?")
            current = name.parent
        }
        return components.reversed()
    }

    func path(of inode: Int64) -> String? { components(of: inode)?.joined(separator: "/") }

    /// For people.
    func place(of inode: Int64) -> String {
        let path = path(of: inode)
        return path.map { $0.isEmpty ? "/" : $0 } ?? "inode \(inode)"
    }

    func isInCircle(_ inode: Int64) -> Bool {
        var guardian = CircleGuard()
        var current = inode
        while current != InodeNumber.root.sql, let name = names[current] {
            current = name.parent
            do { try guardian.passed(InodeNumber(sql: current)) } catch { return true }
        }
        return false
    }
}

import GRDB
import ObjectStore

/// A name in a directory and the inode it leads to.
public struct Dentry: Equatable, Sendable {
    public var name: FileName
    public var inode: Inode

    public init(name: FileName, inode: Inode) {
        self.name = name
        self.inode = inode
    }
}

/// Some of the names in a directory.
public struct NamePage<Element> {
    public var elements: [Element] = []
    /// Pass it as `after` to get those behind; nil after the last page.
    public var next: String?
}

extension NamePage: Sendable where Element: Sendable {}

// MARK: Names

extension JournalTransaction {
    public func child(_ name: FileName, of parent: InodeNumber) throws -> InodeNumber? {
        try number("SELECT ino FROM dentry WHERE parent = ? AND name = ?", [parent.sql, name.string])
            .map(InodeNumber.init(sql:))
    }

    public func link(_ name: FileName, in parent: InodeNumber, to inode: InodeNumber) throws {
        try execute(
            "INSERT OR REPLACE INTO dentry (parent, name, ino) VALUES (?, ?, ?)",
            [parent.sql, name.string, inode.sql])
    }

    public func unlink(_ name: FileName, in parent: InodeNumber) throws {
        try execute("DELETE FROM dentry WHERE parent = ? AND name = ?", [parent.sql, name.string])
    }

    public func hasChildren(_ directory: InodeNumber) throws -> Bool {
        try number("SELECT 1 FROM dentry WHERE parent = ? LIMIT 1", [directory.sql]) != nil
    }

    private static let selectChildren =
        "SELECT " + Inode.columns.map { "inode.\($0)" }.joined(separator: ", ") + ", dentry.name"
        + " FROM dentry JOIN inode ON inode.ino = dentry.ino"
        + " WHERE dentry.parent = ? AND dentry.name > ? ORDER BY dentry.name LIMIT ?"

    /// The names in a directory, in the order of their bytes. Those that cannot be read are passed over: see
    /// ``Journal/damagedRows``.
    public func children(
        of directory: InodeNumber, after name: String? = nil, limit: Int = .max
    ) throws -> NamePage<Dentry> {
        try page(Self.selectChildren, of: directory, after: name, limit, nameColumn: Inode.columns.count) { row in
            guard let inode = try inodeIfSound(row: row) else { return nil }
            return soundName(row[Inode.columns.count], of: inode.number).map { Dentry(name: $0, inode: inode) }
        }
    }

    /// The names in a directory and the numbers of what they lead to, as ``children(of:after:limit:)``.
    public func names(
        of directory: InodeNumber, after name: String? = nil, limit: Int
    ) throws -> NamePage<(name: FileName, inode: InodeNumber)> {
        let sql = "SELECT name, ino FROM dentry WHERE parent = ? AND name > ? ORDER BY name LIMIT ?"
        return try page(sql, of: directory, after: name, limit, nameColumn: 0) { row in
            let inode = InodeNumber(sql: row[1])
            return soundName(row[0], of: inode).map { ($0, inode) }
        }
    }

    /// Room for pages up to this is taken at once.
    private static let usualPage = 4096

    private func page<Element>(
        _ sql: String, of directory: InodeNumber, after name: String?, _ limit: Int, nameColumn: Int,
        _ make: (JournalRow) throws -> Element?
    ) throws -> NamePage<Element> {
        var page = NamePage<Element>()
        if limit <= Self.usualPage { page.elements.reserveCapacity(limit) }
        var count = 0
        try each(sql, [directory.sql, name ?? "", limit]) { row in
            count += 1
            if count == limit { page.next = row[nameColumn] }
            if let element = try make(row) { page.elements.append(element) }
        }
        return page
    }

    /// The names in a directory from one to another.
    public func names(of directory: InodeNumber, from first: FileName, through last: FileName) throws -> Set<FileName> {
        let sql = "SELECT name FROM dentry WHERE parent = ? AND name BETWEEN ? AND ?"
        return Set(try all(sql, [directory.sql, first.string, last.string]) { FileName($0[0]) }.compactMap { $0 })
    }

    /// Nil for a name that this program cannot have written, which is noted.
    private func soundName(_ text: String, of inode: InodeNumber) -> FileName? {
        let name = FileName(text)
        if name == nil {
            journal.damagedRows.note(inode, "state directory: inode \(inode) has an impossible name")
        }
        return name
    }

    /// Directory and name of an inode; of several hard links, the first. Nil for the root and for orphans.
    public func name(of inode: InodeNumber) throws -> (parent: InodeNumber, name: FileName)? {
        try first("SELECT parent, name FROM dentry WHERE ino = ? LIMIT 1", [inode.sql]) { row in
            guard let name = FileName(row[1]) else {
                throw CacheError.corrupt("inode \(inode) has an impossible name")
            }
            return (InodeNumber(sql: row[0]), name)
        }
    }

    /// Path below the root, without a leading slash; empty for the root. Nil for an inode that no name leads to.
    public func path(of inode: InodeNumber) throws -> String? {
        var components: [String] = []
        var current = inode
        var guardian = CircleGuard()
        while current != .root {
            guard let (parent, name) = try name(of: current) else { return nil }
            components.append(name.string)
            current = parent
            try guardian.passed(current)
        }
        return components.reversed().joined(separator: "/")
    }

    /// The key an inode's object shall have: its path, with a slash behind it for a directory's marker; of a file that
    /// a directory covers, without the suffix (``FileName/covered``). Nil for the root and for an inode that no name
    /// leads to.
    public func key(of inode: Inode) throws -> ObjectKey? {
        guard inode.number != .root, let path = try path(of: inode.number) else { return nil }
        return inode.kind == .directory ? ObjectKey(path + "/") : fileKey(at: path, of: inode)
    }

    /// The inode at a path below the root, components separated by single slashes; a slash at the end asks for a
    /// directory. Nil if there is none, and for a path that is no path.
    public func inode(at path: String) throws -> Inode? {
        let wantsDirectory = path.hasSuffix("/")
        var current = InodeNumber.root
        let text = wantsDirectory ? path.dropLast() : path[...]
        if !text.isEmpty {
            for component in text.split(separator: "/", omittingEmptySubsequences: false) {
                guard let name = FileName(String(component)), let next = try child(name, of: current) else {
                    return nil
                }
                current = next
            }
        }
        guard let inode = try inode(current) else { return nil }
        return (inode.kind == .directory) == wantsDirectory || text.isEmpty || !wantsDirectory ? inode : nil
    }

    /// Whether `directory` is `ancestor` or lies below it.
    public func isInside(_ directory: InodeNumber, of ancestor: InodeNumber) throws -> Bool {
        var current = directory
        var guardian = CircleGuard()
        while current != ancestor {
            guard current != .root, let (parent, _) = try name(of: current) else { return false }
            current = parent
            try guardian.passed(current)
        }
        return true
    }
}

// MARK: Subtrees

extension JournalTransaction {
    private static let subtree = """
        WITH RECURSIVE subtree(ino) AS (
            SELECT ? UNION SELECT dentry.ino FROM dentry JOIN subtree ON dentry.parent = subtree.ino
        )
        """

    /// Longer paths than any object's key are not measured any further, which also ends in a damaged tree whose
    /// directories form a circle. Bytes.
    private static let longestMeasured = 4096

    /// The directories at and below one, with the lengths of their paths relative to it, a slash before each name.
    private static let directories = """
        WITH RECURSIVE directories(ino, length) AS (
            SELECT ?, 0 UNION ALL
            SELECT inode.ino, directories.length + 1 + LENGTH(CAST(dentry.name AS BLOB))
            FROM directories JOIN dentry ON dentry.parent = directories.ino JOIN inode ON inode.ino = dentry.ino
            WHERE inode.kind = \(InodeKind.directory.rawValue) AND directories.length < \(longestMeasured)
        )
        """

    /// An inode and all below it.
    public func subtree(of top: InodeNumber) throws -> [InodeNumber] {
        try numbers(Self.subtree + " SELECT ino FROM subtree", [top.sql])
    }

    /// Marks `top` and all below it whose object is in the bucket as being at the wrong key; returns those marked.
    public func markMoved(_ top: InodeNumber) throws -> [InodeNumber] {
        try numbers(
            Self.subtree + """
                UPDATE inode SET pending = pending | ? WHERE ino IN subtree AND remote_key IS NOT NULL RETURNING ino
                """, [top.sql, PendingChange.location.rawValue])
    }

    /// Directories at or below `top` whose names in the bucket were never listed whole.
    public func unlistedDirectories(under top: InodeNumber) throws -> [InodeNumber] {
        try numbers(
            """
            WITH RECURSIVE directories(ino) AS (
                SELECT ? UNION
                SELECT inode.ino FROM directories JOIN dentry ON dentry.parent = directories.ino
                JOIN inode ON inode.ino = dentry.ino WHERE inode.kind = ?2
            )
            SELECT ino FROM inode WHERE ino IN (SELECT ino FROM directories) AND kind = ?2
            AND NOT EXISTS (SELECT 1 FROM listing WHERE listing.ino = inode.ino)
            """, [top.sql, InodeKind.directory.rawValue])
    }

    /// The next directories in one behind a name, in the order of bytes, whose names in the bucket were never listed
    /// whole: at most `limit`, and none behind the next thousand names.
    public func unlistedDirectories(
        in parent: InodeNumber, behind name: FileName, limit: Int
    ) throws -> [(name: FileName, number: InodeNumber)] {
        try nextChildren(
            of: parent, behind: name,
            "inode.kind = \(InodeKind.directory.rawValue)"
                + " AND NOT EXISTS (SELECT 1 FROM listing WHERE listing.ino = next.ino)", limit)
    }

    /// The next children of a directory behind a name, in the order of bytes, whose attributes only their objects have:
    /// at most `limit`, and none behind the next thousand names.
    public func childrenToAsk(
        in parent: InodeNumber, behind name: FileName, limit: Int
    ) throws -> [(name: FileName, number: InodeNumber)] {
        try nextChildren(
            of: parent, behind: name,
            "inode.metadata_known = 0 AND inode.pending = 0 AND inode.alias_of IS NULL", limit)
    }

    private func nextChildren(
        of parent: InodeNumber, behind name: FileName, _ condition: String, _ limit: Int
    ) throws -> [(name: FileName, number: InodeNumber)] {
        let sql = """
            WITH next AS (SELECT name, ino FROM dentry WHERE parent = ? AND name > ? ORDER BY name LIMIT 1000)
            SELECT next.name, next.ino FROM next JOIN inode ON inode.ino = next.ino WHERE \(condition)
            ORDER BY next.name LIMIT ?
            """
        return try all(sql, [parent.sql, name.string, limit]) { row in
            FileName(row[0]).map { ($0, InodeNumber(sql: row[1])) }
        }.compactMap { $0 }
    }

    /// How many inodes at or below `top` are pending, and the sizes of those whose content is.
    public func pendingUnder(_ top: InodeNumber) throws -> [(number: InodeNumber, pending: PendingChange, size: Int64)]
    {
        let sql =
            top == .root
            ? "SELECT ino, pending, size FROM inode WHERE pending <> 0 AND links > 0 AND ino <> ?"
            : Self.subtree + " SELECT ino, pending, size FROM inode WHERE ino IN subtree AND pending <> 0"
        return try all(sql, [top == .root ? 0 : top.sql]) { row in
            (InodeNumber(sql: row[0]), PendingChange(rawValue: row[1]), row[2])
        }
    }

    /// The longest path below `top`, relative to it, a slash before each name, in bytes; 0 if it has no children.
    public func longestPath(under top: InodeNumber) throws -> Int {
        let sql =
            Self.directories + """
                SELECT MAX(directories.length + 1 + LENGTH(CAST(dentry.name AS BLOB)))
                FROM directories JOIN dentry ON dentry.parent = directories.ino
                """
        return Int(try number(sql, [top.sql]) ?? 0)
    }

    private func numbers(_ sql: String, _ arguments: JournalStatement.Arguments) throws -> [InodeNumber] {
        try all(sql, arguments) { InodeNumber(sql: $0[0]) }
    }
}

import GRDB
import ObjectStore

/// All of a journal that can be read, row by row, whatever state it is in.
struct JournalContents {
    struct Name {
        var parent: Int64
        /// Nil for what is no text.
        var name: String?
        var inode: Int64
    }

    struct Upload {
        var inode: Int64
        var partSize: Int64?
    }

    var inodes: [InodeNumber: Inode] = [:]
    /// What is wrong with the rows that say nothing.
    var damagedRows: [Int64: String] = [:]
    var names: [Name] = []
    var tombstones: Set<String> = []
    var uploads: [Upload] = []
    /// Inodes by the tables that refer to them.
    var references: [(table: String, inode: Int64)] = []
    var discarded: Set<Int64> = []
    /// Pages of checksums by inode and number.
    var checksums: [Int64: [Int64: [UInt8]]] = [:]
    var source: String?
    /// Of the database itself.
    var damage: [String] = []

    /// Of a journal of which nothing can be read.
    init() {}

    init(_ database: Database) {
        check(database)
        guard let version = knownVersion(of: database) else { return }
        read("inode", "ino", Inode.columns, database) { contents, row in
            do {
                let inode = try Inode(row: row)
                contents.inodes[inode.number] = inode
            } catch {
                contents.damagedRows[row[0]] = "\(error)"
            }
        }
        var seen: Set<String> = []
        read("dentry", "parent, name", ["parent", "name", "ino"], database) { contents, row in
            let name = Name(parent: row[0], name: row.isTextOrNull(1) ? row[1] : nil, inode: row[2])
            guard seen.insert("\(name.parent)/\(row[1] as String)").inserted else { return }
            contents.names.append(name)
        }
        readRest(database)
        guard version >= 3 else { return }
        read("checksum", "ino, page", ["ino", "page", "checksums"], database) { contents, row in
            contents.checksums[row[0], default: [:]][row[1]] = row[2]
        }
    }

    private mutating func check(_ database: Database) {
        do {
            var said: [String] = []
            try JournalStatement("PRAGMA integrity_check(20)", in: database).each([]) { said.append($0[0]) }
            if said != ["ok"] { damage += said }
        } catch {
            damage.append("\(error)")
        }
    }

    /// Nil for one that is newer; if it cannot be told, this program's.
    private mutating func knownVersion(of database: Database) -> Int? {
        let found = try? JournalStatement("PRAGMA user_version", in: database).first([]) { $0[0] as Int }
        guard let version = found, version > JournalSchema.version else { return found ?? JournalSchema.version }
        damage.append("it was written by a newer sluice (schema \(version)): its rows are not looked at")
        return nil
    }

    private mutating func readRest(_ database: Database) {
        read("tombstone", "key", ["key"], database) { contents, row in
            contents.tombstones.insert(row.isTextOrNull(0) ? row[0] : "")
        }
        read("upload", "ino", ["ino", "part_size"], database) { contents, row in
            contents.uploads.append(Upload(inode: row[0], partSize: row.integer(1)))
        }
        read("discard", "ino", ["ino"], database) { contents, row in contents.discarded.insert(row[0]) }
        for table in ["xattr", "listing"] {
            read(table, "ino", ["ino"], database) { contents, row in contents.references.append((table, row[0])) }
        }
        read("property", "name", ["name", "value"], database) { contents, row in
            if row[0] as String == "source" { contents.source = row[1] }
        }
    }

    /// From both ends: what cannot be read often is one page in the middle.
    private mutating func read(
        _ table: String, _ order: String, _ columns: [String], _ database: Database,
        _ take: (inout JournalContents, JournalRow) -> Void
    ) {
        let descending = order.split(separator: ", ").map { "\($0) DESC" }.joined(separator: ", ")
        for order in [order, descending] {
            do {
                let sql = "SELECT \(columns.joined(separator: ", ")) FROM \(table) ORDER BY \(order)"
                return try JournalStatement(sql, in: database).each([]) { take(&self, $0) }
            } catch {
                let text = "table \(table): \((error as? DatabaseError)?.message ?? "\(error)")"
                if !damage.contains(text) { damage.append(text) }
            }
        }
    }
}

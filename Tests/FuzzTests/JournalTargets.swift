import Foundation
import GRDB
import Logging
import ObjectStore
import Platform
import TestKit

@testable import Cache
@testable import Transfer

/// What lies in the state directory, as a fault of the disk or of a former version may leave it.
enum JournalTargets {
    static let all = [records, log, rows, pages, listings]

    private static let boot = BootIdentity(high: 1, low: 1)
    private static let logger = Logger(label: "fuzz", factory: { _ in SwiftLogNoOpLogHandler() })

    // MARK: Range logs

    private static let records = FuzzTarget(name: "range-records") { input in
        for start in stride(from: 0, to: input.count, by: RangeLogRecord.size) {
            let piece = Array(input[start..<min(start + RangeLogRecord.size, input.count)])
            for bytes in [piece, sealed(piece)] {
                guard let record = RangeLogRecord(bytes: bytes[...]) else { continue }
                try require(RangeLogRecord(bytes: record.bytes[...]) == record, "\(record) becomes another")
            }
        }
    }

    /// With the last word that makes the others count, so that operands are tried too.
    private static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count == RangeLogRecord.size else { return bytes }
        var sealed = Array(bytes.prefix(24)) + RangeLogRecord.limit(0).bytes.suffix(8)
        let other = RangeLogRecord.limit(0).bytes
        for index in 0..<24 { sealed[24 + index % 8] ^= bytes[index] ^ other[index] }
        return sealed
    }

    private static let log = FuzzTarget(name: "range-log", count: 150) { input in
        guard let directory = FuzzTarget.scratch else { return }
        let whole = stride(from: 0, to: input.count, by: RangeLogRecord.size).flatMap { start in
            sealed(Array(input[start..<min(start + RangeLogRecord.size, input.count)]))
        }
        let seals = input.first.map { $0 & 1 == 0 } ?? false
        try directory.write(seals ? whole : input, to: "a.ranges")
        for boot in [boot, BootIdentity(high: 2, low: 2)] {
            var extents = FileExtents(baseLimit: 1 << 30)
            _ = try RangeLog.open(
                "a.ranges", on: PosixDisk(path: directory.path), version: ETag("v1"), boot: boot, extents: &extents)
            try require((0...1 << 30).contains(extents.baseLimit), "a limit of \(extents.baseLimit)")
            for range in extents.missing(in: 0..<1 << 30) {
                try require(0 <= range.lowerBound && range.upperBound <= 1 << 30, "missing \(range)")
            }
        }
    }

    // MARK: The journal

    /// A journal with a row in every table.
    private static let template = Result { try makeTemplate() }

    private static func makeTemplate() throws -> [UInt8] {
        let directory = try TemporaryDirectory()
        let journal = try Journal(path: directory.path("journal.db"))
        let time = Timestamp(seconds: 1_750_000_000)
        try journal.write { transaction in
            try transaction.setProperty("source", "s3://bucket")
            let insert = { (kind: InodeKind) in
                try transaction.insertInode {
                    Inode(number: $0, kind: kind, permissions: 0o755, userID: 0, groupID: 0, time: time)
                }
            }
            _ = try insert(.directory)
            let folder = try insert(.directory).number
            for (index, kind) in [InodeKind.file, .file, .file, .symbolicLink, .pipe].enumerated() {
                var inode = try insert(kind)
                inode.size = Int64(index) << 20
                inode.pending = index % 2 == 0 ? [.content, .metadata] : []
                inode.local = index % 2 == 0 ? .complete : .partial
                inode.linkTarget = kind == .symbolicLink ? "target" : nil
                inode.remote = RemoteObject(key: ObjectKey("k\(index)"), etag: ETag("e\(index)"), size: 7)
                inode.attempt = Inode.Attempt(key: ObjectKey("k\(index)"), token: "t\(index)")
                try transaction.update(inode)
                guard let name = FileName("name\(index)") else { continue }
                try transaction.link(name, in: index < 2 ? .root : folder, to: inode.number)
                try transaction.setChecksums(of: inode.number, [(0, [1, 2, 3, 4, 5, 6, 7, 8])])
                try transaction.setExtendedAttribute("user.a", to: [1, 2], of: inode.number)
                try transaction.setMultipart(
                    MultipartRecord(key: ObjectKey("k"), id: UploadID("u"), partSize: 8 << 20, token: "t"),
                    of: inode.number)
                let part = UploadedPart(number: 1, etag: ETag("p"), size: 8 << 20)
                try transaction.setPart(PartRecord(part: part, fingerprint: nil), of: inode.number)
            }
            if let name = FileName("folder") { try transaction.link(name, in: .root, to: folder) }
            try transaction.setListed(.root, at: .seconds(1))
            try transaction.setTombstone(Tombstone(key: ObjectKey("gone"), etag: ETag("g"), token: "a b"))
            try transaction.record(JournalEvent(kind: .error, path: "p", message: "m", time: time))
            try transaction.discardData(of: InodeNumber(rawValue: 99))
        }
        try journal.checkpoint(over: 0)
        try journal.close()
        return directory.read("journal.db") ?? []
    }

    private static func stateDirectory(with journal: [UInt8]) throws -> TemporaryDirectory {
        guard let directory = FuzzTarget.scratch else { throw FuzzTarget.Breach(description: "no scratch directory") }
        for name in ["journal.db-wal", "journal.db-shm"] { unlink(directory.path(name)) }
        try directory.write(journal, to: "journal.db")
        return directory
    }

    private static let tables = [
        ("inode", Inode.columns), ("dentry", ["parent", "name", "ino"]), ("xattr", ["ino", "name", "value"]),
        ("listing", ["ino", "listed_ns"]), ("tombstone", ["key", "etag", "token"]),
        ("upload", ["ino", "key", "upload_id", "part_size", "token"]),
        ("part", ["ino", "number", "etag", "size", "md5", "fingerprint"]),
        ("event", ["kind", "path", "message", "time_ns"]),
        ("discard", ["ino"]), ("property", ["name", "value"]), ("checksum", ["ino", "page", "checksums"]),
    ]

    /// Each eight bytes of the input change one value.
    private static let rows = FuzzTarget(
        name: "journal-rows", words: ["..", "\0", "/", "\u{1}\u{1}", "\u{2}\u{2}", "inode", "dentry"], count: 150
    ) { input in
        let directory = try stateDirectory(with: try template.get())
        let queue = try DatabaseQueue(path: directory.path("journal.db"))
        try queue.write { database in
            for start in stride(from: 0, to: min(input.count, 64), by: 8) {
                try change(Array(input[start..<min(start + 8, input.count)]), database)
            }
        }
        try queue.close()
        try recover(directory)
    }

    private static func change(_ bytes: [UInt8], _ database: Database) throws {
        guard bytes.count == 8 else { return }
        let (table, columns) = tables[Int(bytes[0]) % tables.count]
        let column = columns[Int(bytes[1]) % columns.count]
        let small = Int64(bytes[3])
        let values: [any DatabaseValueConvertible] = [
            small, small - 128, Int64.max - small, Int64.min + small, Int64(1) << (small % 63), Double(small) * 1e300,
            String(decoding: bytes[3...], as: UTF8.self), Data(bytes[3...]), String(repeating: "x", count: 70_000),
            "..",
        ]
        let value = values[Int(bytes[2]) % values.count]
        // What the schema itself refuses cannot be there.
        try? database.execute(
            sql: """
                UPDATE OR IGNORE \(table) SET \(column) = ? WHERE \(column) =
                (SELECT \(column) FROM \(table) LIMIT 1 OFFSET ?)
                """, arguments: [value.databaseValue, Int(bytes[7]) % 4])
    }

    /// Each four bytes of the input are a place in the file and what stands there.
    private static let pages = FuzzTarget(name: "journal-pages", count: 100) { input in
        var file = try template.get()
        for start in stride(from: 0, to: min(input.count - 4, 256), by: 4) {
            let place = input[start..<start + 3].reduce(0) { $0 << 8 | Int($1) }
            file[place % file.count] = input[start + 3]
        }
        if input.count % 3 == 0 { file.removeLast(input.count * 37 % file.count) }
        try recover(try stateDirectory(with: file))
    }

    /// Everything that is read at a start and by status.
    private static func recover(_ directory: TemporaryDirectory) throws {
        do {
            let journal = try Journal(path: directory.path("journal.db"))
            defer { try? journal.close() }
            let cache = try FileCache(
                journal: journal, disk: PosixDisk(path: directory.path),
                limits: CacheLimits(limit: 1 << 30, reserve: 0), time: ManualTime(), boot: boot, logger: logger)
            _ = try? cache.usage()
            try journal.read { transaction in try look(at: transaction) }
        } catch let error as FuzzTarget.Breach {
            throw error
        } catch {
            // Whatever is wrong is told; nothing is to be concluded from which error says it.
            try require("\(error)".utf8.count < 10_000, "an error of \("\(error)".utf8.count) bytes")
        }
    }

    private static func look(at transaction: JournalTransaction) throws {
        _ = try? transaction.property("source")
        for inode in (try? transaction.pendingInodes()) ?? [] {
            let path = try? transaction.path(of: inode.number)
            if let path { try NameTargets.checkName(path) }
            _ = try? transaction.key(of: inode)
            _ = try? transaction.parts(of: inode.number)
            _ = try? transaction.multipart(of: inode.number)
            _ = try? transaction.extendedAttributes(of: inode.number)
            _ = PosixMetadata(inode, extendedAttributes: []).encoded
            _ = [inode.accessed, inode.modified, inode.changed].map { ($0.seconds, $0.subsecondNanoseconds) }
            _ = try? transaction.isInside(inode.number, of: InodeNumber(rawValue: 3))
        }
        for dentry in (try? transaction.children(of: .root))?.elements ?? [] {
            try NameTargets.checkName(dentry.name.string)
        }
        _ = try? transaction.inode(at: "folder/name3")
        for number in [InodeNumber.root, InodeNumber(rawValue: 2)] {
            _ = try? transaction.subtree(of: number)
            _ = try? transaction.pendingUnder(number)
            _ = try? transaction.unlistedDirectories(under: number)
            if let name = FileName("a") {
                _ = try? transaction.unlistedDirectories(in: number, behind: name, limit: 9)
            }
            _ = try? transaction.longestPath(under: number)
        }
        _ = try? transaction.abandonedMultiparts()
        _ = try? transaction.tombstones(after: nil, limit: 100)
        _ = try? transaction.attemptedKeys()
        for event in (try? transaction.events(.error)) ?? [] { _ = event.time.seconds }
        _ = (try? transaction.localBytes(), try? transaction.dirtyBytes())
    }

    // MARK: Listings

    /// Each line is a key, or with a slash at its end a common prefix, of a listing of the directory `folder`.
    private static let listings = FuzzTarget(
        name: "listing-merge", words: ["folder/", "folder/a", "name3", "folder/name3", "folder/name3/", "‛2F"],
        count: 150
    ) { input in
        let directory = try stateDirectory(with: try template.get())
        let journal = try Journal(path: directory.path("journal.db"))
        defer { try? journal.close() }
        var page = ListPage(objects: [], commonPrefixes: [], continuation: nil)
        for line in String(decoding: input, as: UTF8.self).split(separator: "\n") {
            if line.hasSuffix("/"), line != "folder/" {
                page.commonPrefixes.append(String(line))
            } else {
                page.objects.append(
                    ObjectInfo(
                        key: ObjectKey(String(line)), size: 1, etag: ETag("e"), lastModified: Timestamp(seconds: 1)))
            }
        }
        try journal.write { transaction in
            var merge = ListingMerge(
                directory: InodeNumber(rawValue: 2), prefix: "folder/", start: journal.nextSequence(),
                begunAt: .seconds(2),
                defaults: RemoteDefaults(filePermissions: 0o644, directoryPermissions: 0o755, userID: 0, groupID: 0),
                time: Timestamp(seconds: 2), wasListed: true, newest: try transaction.lastNumber(),
                isOpenForWriting: { _ in false })
            try merge.apply(page, in: transaction)
            while try !merge.finish(in: transaction) {}
            for child in try transaction.children(of: InodeNumber(rawValue: 2)).elements {
                try NameTargets.checkName(child.name.string)
                // Whoever serves a foreign key does not get it read or overwritten under a name of this directory.
                guard let key = child.inode.remote?.key, child.inode.remoteSequence > 0 else { continue }
                try require(key.string.hasPrefix("folder/"), "\(key) is in the directory folder")
            }
        }
    }
}

import Foundation
import ObjectStore
import Platform
import TestKit
import Testing

@testable import Cache

/// Rows that no Sluice wrote: neither a crash, nor a hang, nor a loss for others, and their bytes are saved.
@Suite struct DamagedRowTests {
    let fixture: CacheFixture

    init() throws { fixture = try CacheFixture() }

    /// Assignments in SQL.
    static let impossible = [
        "kind = 0", "kind = 99", "kind = 'file'", "local = 3", "local = -1", "mode = -1", "mode = 65536", "uid = -1",
        "gid = 4294967296", "size = -1", "size = 'many'", "size = x'00'", "size = 1.5", "links = -1",
        "links = 4294967296", "pending = 8", "pending = -1", "remote_key = 'key'", "remote_etag = 'etag'",
        "remote_key = 'key', remote_etag = 'etag', remote_size = -1", "attempt_key = 'key'", "attempt_token = 'token'",
        "remote_key = x'ff', remote_etag = 'etag', remote_size = 1", "local_bytes = -1",
        "local_bytes = 9223372036854775807", "modified_ns = 'noon'", "remote_seq = 'next'", "device = 1.5",
        "target = x'00'", "alias_of = ino", "alias_of = -1", "metadata_known = 'yes'",
    ]

    /// These can be, odd as they are.
    static let odd = [
        "modified_ns = -9223372036854775808", "accessed_ns = -9223372036854775807", "changed_ns = 9223372036854775807",
        "size = 9223372036854775807", "remote_seq = 9223372036854775807", "device = -1", "links = 2147483647",
        "alias_of = 77777", "last_used = 'never'",
    ]

    @Test func damagedRowsCostNothingElse() throws {
        let good = try fixture.makeFile("good", "intact")
        let bad = try damaged(Self.impossible + Self.odd)
        let report = try examine()
        #expect(report.unsent.contains { $0.path == "good" })
        let saved = Set(try saved(report))
        for (damage, number) in bad { #expect(saved.contains("unsent \(number)"), "not saved: \(damage)") }

        try fixture.reopen()
        let names = try fixture.journal.read { try $0.children(of: .root).elements.map(\.name.string) }
        #expect(names.contains("good"))
        #expect(try fixture.cache.acquire(good).text() == "intact")
        for (_, number) in bad { _ = try? fixture.cache.acquire(number).text() }
        try fixture.cache.flush()
        _ = try fixture.cache.usage()
        _ = try fixture.cache.writableSpace()
        let data = Set(try allData())
        for (damage, number) in bad { #expect(data.contains("unsent \(number)"), "the bytes are gone: \(damage)") }
    }

    @Test func impossibleRowsAreToldOfAndNotGuessedAt() throws {
        let bad = try damaged(Self.impossible)
        let places = Set(try examine().damage.map(\.place))
        for (damage, number) in bad { #expect(places.contains("bad \(number)"), "fsck found nothing: \(damage)") }
        try fixture.reopen()
        for (damage, number) in bad {
            #expect(throws: CacheError.self, "\(damage)") { try fixture.cache.acquire(number) }
        }
        try fixture.cache.flush()
        let events = try fixture.journal.read { try $0.events(.error) }
        #expect(Set(events.map(\.path)) == Set(bad.map { "bad \($0.number)" }))
        #expect(events.allSatisfy { $0.message.contains("damaged") })
        try fixture.reopen()
        try fixture.cache.flush()
        let later = try fixture.journal.read { try $0.events(.error) }
        #expect(later.count == events.count, "told again at every start")
    }

    /// A file for each damage, named for its number and with a text of its own.
    private func damaged(_ damages: [String]) throws -> [(damage: String, number: InodeNumber)] {
        var files: [(String, InodeNumber)] = []
        for damage in damages {
            let number = try fixture.makeFile("new", "")
            try fixture.cache.acquire(number).write("unsent \(number)", at: 0)
            try sql("UPDATE dentry SET name = 'bad \(number)' WHERE ino = \(number)")
            files.append((damage, number))
        }
        try fixture.cache.flush()
        for (damage, number) in files { try sql("UPDATE inode SET \(damage) WHERE ino = \(number)") }
        return files
    }

    @Test func aRowThatCountsNoNamesAndHasOneKeepsItsBytes() throws {
        let bad = try fixture.makeFile("bad", "unsent")
        try fixture.cache.flush()
        try sql("UPDATE inode SET links = 0 WHERE ino = \(bad)")
        #expect(try examine().isDamaged)
        try fixture.reopen()
        try fixture.cache.flush()
        #expect(try allData().contains("unsent"))
    }

    @Test func aRowThatSaysThatNothingIsLocalKeepsItsBytes() throws {
        let bad = try fixture.makeFile("bad", "unsent")
        try fixture.cache.flush()
        try sql("UPDATE inode SET local = 0 WHERE ino = \(bad)")
        try fixture.reopen()
        try fixture.cache.flush()
        #expect(try allData().contains("unsent"))
    }

    @Test func dataOfALivingFileIsNotDiscarded() throws {
        let number = try fixture.makeFile("a", "unsent")
        try sql("INSERT INTO discard (ino) VALUES (\(number))")
        try fixture.reopen()
        #expect(try fixture.cache.acquire(number).text() == "unsent")
    }

    @Test func namesInACircleEndEveryWayThroughTheTree() throws {
        let (file, directory) = (try fixture.makeFile("file", "unsent"), try fixture.makeFile("directory", ""))
        try sql("UPDATE inode SET kind = 2, local = 0 WHERE ino = \(directory)")
        try sql("UPDATE dentry SET parent = \(directory) WHERE ino IN (\(file), \(directory))")
        try fixture.reopen()
        try fixture.journal.read { transaction in
            #expect(throws: CacheError.self) { try transaction.path(of: file) }
            #expect(throws: CacheError.self) { try transaction.isInside(file, of: .root) }
            let subtree = Set(try transaction.subtree(of: directory))
            #expect(subtree == [file, directory])
            let length = try transaction.longestPath(under: directory)
            #expect(length > 0)
            let unlisted = try transaction.unlistedDirectories(under: directory)
            #expect(unlisted == [directory])
            let pending = try transaction.pendingUnder(directory).count
            #expect(pending == 2)
        }
        let report = try examine()
        #expect(report.damage.contains { $0.text.contains("circle") })
        #expect(try saved(report).contains("unsent"))
    }

    @Test(arguments: ["", ".", "..", "a/b", "x'00'"])
    func anImpossibleNameIsPassedOverAndItsBytesAreSavedWithoutLeavingTheDirectory(_ name: String) throws {
        let (bad, _) = (try fixture.makeFile("bad", "unsent"), try fixture.makeFile("good", "intact"))
        let text = name.hasPrefix("x'") ? name : "'\(name)'"
        try sql("UPDATE dentry SET name = \(text) WHERE ino = \(bad)")
        try fixture.reopen()
        #expect(try fixture.journal.read { try $0.children(of: .root).elements.map(\.name.string) } == ["good"])
        let report = try examine()
        #expect(report.isDamaged)
        #expect(try saved(report).contains("unsent"))
    }

    @Test func rowsThatReferToNothingAreTold() throws {
        _ = try fixture.makeFile("a", "unsent")
        try sql("INSERT INTO dentry (parent, name, ino) VALUES (1, 'lost', 4711)")
        try sql("INSERT INTO dentry (parent, name, ino) VALUES (4712, 'astray', 2)")
        try sql("INSERT INTO xattr (ino, name, value) VALUES (4713, 'user.a', x'00')")
        try sql("INSERT INTO upload (ino, key, upload_id, part_size, token) VALUES (2, 'a', 'id', 0, 't')")
        try sql("INSERT INTO tombstone (key, etag, token) VALUES ('', NULL, NULL)")
        let text = try examine().damage.map { "\($0.place) \($0.text)" }.joined(separator: "\n")
        for word in ["4711", "4712", "4713", "upload", "tombstone"] { #expect(text.contains(word), "\(text)") }
        try fixture.reopen()
        #expect(try fixture.journal.read { try $0.children(of: .root).elements.count } == 1)
    }

    @Test func noNumberIsGivenTwiceWhenAllAreUsedUp() throws {
        _ = try fixture.makeFile("a", "")
        try sql("UPDATE sqlite_sequence SET seq = 9223372036854775807 WHERE name = 'inode'")
        #expect(throws: CacheError.self) { try fixture.makeFile("b") }
    }

    private func sql(_ statement: String) throws {
        try fixture.journal.write { try $0.execute(statement) }
    }

    private func examine() throws -> StateReport {
        try fixture.copyForExamination { try StateExamination(path: $0, boot: fixture.boot).report }
    }

    /// The texts of all files that are saved.
    private func saved(_ report: StateReport) throws -> [String] {
        let target = try TemporaryDirectory()
        return try fixture.copyForExamination { path in
            let examination = try StateExamination(path: path, boot: fixture.boot)
            var salvage = try Salvage(of: examination, into: target.path("saved"))
            salvage.run(examination.report)
            #expect(try FileManager.default.contentsOfDirectory(atPath: target.path) == ["saved"])
            return Self.texts(below: target.path)
        }
    }

    private func allData() throws -> [String] {
        Self.texts(below: fixture.directory.path("data")) + Self.texts(below: fixture.directory.path("quarantine"))
    }

    private static func texts(below path: String) -> [String] {
        let names = FileManager.default.enumerator(atPath: path)?.allObjects.compactMap { $0 as? String } ?? []
        return names.compactMap { FileManager.default.contents(atPath: path + "/" + $0) }
            .map { String(decoding: $0, as: UTF8.self) }
    }
}

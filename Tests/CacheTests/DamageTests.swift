import Foundation
import Logging
import ObjectStore
import Platform
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import Cache

/// Data files that are not what the journal says they are.
@Suite struct DamageTests {
    let fixture: CacheFixture

    init() throws { fixture = try CacheFixture() }

    // MARK: Not what the row says

    @Test func aCleanFileThatIsTooShortIsFetchedAgain() throws {
        let number = try fixture.makeCleanFile("a", "0123456789")
        try fixture.reopen { try cut(number, to: 4, in: $0) }
        #expect(try fixture.cache.acquire(number).missing(in: 0..<10) == [0..<10])
    }

    // MARK: Something else in its place

    static let plants = ["link", "pipe", "directory", "second name", "another user's"]

    @Test(arguments: plants)
    func whatIsPlantedForAnUnsentFileIsNeverWrittenThrough(_ plant: String) throws {
        let number = try fixture.makeFile("a", "unsent")
        try fixture.cache.flush()
        let outside = try TemporaryDirectory()
        try outside.write("outside", to: "target")
        guard try isPlanted(plant, for: number, outside) else { return }
        #expect(throws: CacheError.self) { try fixture.cache.acquire(number, forWriting: true) }
        #expect(try errors().map(\.path) == ["a"])
        #expect(outside.read("target") == Array("outside".utf8))
    }

    @Test(arguments: plants)
    func whatIsPlantedForACleanFileIsPutAsideAndTheBytesAreFetchedAgain(_ plant: String) throws {
        let number = try fixture.makeCleanFile("a", "0123456789")
        let outside = try TemporaryDirectory()
        try outside.write("outside", to: "target")
        guard try isPlanted(plant, for: number, outside) else { return }
        let file = try fixture.cache.acquire(number)
        #expect(file.missing(in: 0..<10) == [0..<10])
        try file.fill("0123456789", at: 0)
        #expect(outside.read("target") == Array("outside".utf8))
        let aside = try FileManager.default.contentsOfDirectory(atPath: fixture.directory.path("quarantine"))
        #expect(aside.count == 1)
    }

    @Test func aShardThatIsALinkIsPutAsideAndNotGoneThrough() throws {
        let number = try fixture.makeFile("a", "unsent")
        try fixture.cache.flush()
        let outside = try TemporaryDirectory()
        let shard = FileCache.shardName(number)
        try fixture.reopen { directory in
            try FileManager.default.moveItem(atPath: directory.path(shard), toPath: outside.path("shard"))
            try FileManager.default.createSymbolicLink(
                atPath: directory.path(shard), withDestinationPath: outside.path("shard"))
        }
        #expect(throws: CacheError.self) { try fixture.cache.acquire(number, forWriting: true) }
        #expect(outside.read("shard/\(number)") == Array("unsent".utf8))
    }

    // MARK: Recovery

    @Test func unexplainedDataOfOneNameNeverTakesEachOthersPlace() throws {
        for text in ["first", "second", "third"] {
            try fixture.reopen { try $0.write(text, to: "data/07/7000007") }
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: fixture.directory.path("quarantine"))
        let texts = names.compactMap { fixture.directory.read("quarantine/\($0)") }
            .map { String(decoding: $0, as: UTF8.self) }
        #expect(texts.sorted() == ["first", "second", "third"])
        #expect(try errors().count == 3)
    }

    @Test func recoveryOpensNoDataFile() throws {
        for index in 0..<100 { _ = try fixture.makeFile("file-\(index)", "text") }
        try fixture.cache.flush()
        try fixture.copyForExamination { path in
            let disk = CountingDisk(try PosixDisk(path: path))
            let journal = try Journal(path: path + "/journal.db")
            _ = try FileCache(
                journal: journal, disk: disk, limits: fixture.limits, time: fixture.time, boot: fixture.boot,
                logger: .init(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
            #expect(disk.opens == 0)
        }
    }

    // MARK: Helpers

    private func errors() throws -> [JournalEvent] { try fixture.journal.read { try $0.events(.error) } }

    private func cut(_ number: InodeNumber, to size: Int, in directory: TemporaryDirectory) throws {
        guard truncate(directory.path(FileCache.dataName(number)), size) == 0 else { throw Errno.ioError }
    }

    /// False where this user cannot do it.
    private func isPlanted(_ plant: String, for number: InodeNumber, _ outside: TemporaryDirectory) throws -> Bool {
        if plant == "another user's" && geteuid() != 0 { return false }
        try fixture.reopen { directory in
            let path = directory.path(FileCache.dataName(number))
            if plant != "another user's" { try FileManager.default.removeItem(atPath: path) }
            let result =
                switch plant {
                case "link": symlink(outside.path("target"), path)
                case "pipe": mkfifo(path, 0o600)
                case "directory": mkdir(path, 0o700)
                case "second name": link(outside.path("target"), path)
                default: chown(path, 12345, 12345)
                }
            guard result == 0 else { throw Errno.ioError }
        }
        return true
    }
}

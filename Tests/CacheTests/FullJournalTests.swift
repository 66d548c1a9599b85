import Foundation
import Platform
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import Cache

/// A journal without room, and what it holds ahead.
@Suite struct FullJournalTests {
    private let directory: TemporaryDirectory
    private let path: String

    init() throws {
        directory = try TemporaryDirectory()
        path = directory.path("journal.db")
    }

    private func number(_ journal: Journal, _ pragma: String) throws -> Int64 {
        try journal.read { try $0.number("PRAGMA \(pragma)") ?? -1 }
    }

    @Test func aTransactionWithoutRoomIsENOSPCAndLeavesNothingBehind() throws {
        let journal = try Journal(path: path)
        let pages = try number(journal, "page_count")
        _ = try number(journal, "max_page_count = \(pages)")
        #expect(throws: CacheError.system(.noSpace, during: "writing the journal")) {
            try journal.write { transaction in
                try transaction.setProperty("small", "1")
                try transaction.setProperty("large", String(repeating: "x", count: 1 << 20))
            }
        }
        #expect(try journal.read { try $0.property("small") } == nil)
        _ = try number(journal, "max_page_count = 1000000")
        try journal.write { try $0.setProperty("small", "2") }
        #expect(try journal.read { try $0.property("small") } == "2")
        try journal.close()
    }

    @Test func blocksOfTheLogAndPagesOfTheDatabaseAreHeldAheadAndOutliveTheProcess() throws {
        let size: Int64 = 1 << 20
        for _ in 0..<2 {
            let journal = try Journal(path: path, reserve: size)
            try journal.replenish()
            #expect(!journal.isTight)
            #expect(try number(journal, "freelist_count") >= size / 4 / 4096 / 2)
            #expect(try status(path + "-wal").allocated >= size)
            try journal.close()
        }
        #expect(try status(path + "-wal").allocated >= size)
    }

    @Test func whatIsHeldServesWhenTheDatabaseMayNotGrowAndThenItSaysSo() throws {
        let journal = try Journal(path: path, reserve: 4 << 20)
        try journal.replenish()
        let pages = try number(journal, "page_count")
        _ = try number(journal, "max_page_count = \(pages)")
        for index in 0..<180 {
            try journal.write { try $0.setProperty("\(index)", String(repeating: "x", count: 3500)) }
        }
        #expect(throws: CacheError.system(.noSpace, during: "writing the journal")) { try journal.replenish() }
        #expect(journal.isTight)
        // Nothing of it is lost, and with space all is as before.
        _ = try number(journal, "max_page_count = 1000000")
        try journal.replenish()
        #expect(!journal.isTight)
        #expect(try journal.read { try $0.property("179") }?.count == 3500)
        #expect(try journal.read { try $0.property("space held ahead") } == nil)
        try journal.close()
    }

    @Test func theLogKeepsItsBlocksWhenItIsMovedIntoTheDatabase() throws {
        let size: Int64 = 1 << 20
        let journal = try Journal(path: path, reserve: size)
        try journal.replenish()
        for round in 0..<400 {
            try journal.write { try $0.setProperty("a", String(repeating: "\(round % 10)", count: 8000)) }
            try journal.checkpoint()
            #expect(try status(path + "-wal").allocated <= 2 * size)
        }
        #expect(try status(path + "-wal").size <= size)
        #expect(try status(path + "-wal").allocated >= size)
        try journal.close()
    }

    private func status(_ path: String) throws -> DiskFileStatus {
        let disk = try PosixDisk(path: directory.path)
        return try disk.open(String(path.dropFirst(directory.path.count + 1)), .existing).status()
    }
}

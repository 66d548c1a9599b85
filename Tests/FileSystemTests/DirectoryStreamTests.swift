import Cache
import ObjectStore
import Platform
import Synchronization
import SystemPackage
import TestKit
import Testing

@testable import FileSystem
@testable import WorldKit

/// Directories that are read while they are listed.
@Suite struct DirectoryStreamTests {
    let world: World
    let driver: FileSystemDriver

    init() throws {
        world = try World()
        driver = world.driver
    }

    private func names(_ range: Range<Int>) -> [String] { range.map { "f\(10_000 + $0)" } }

    private func fill(_ count: Int) {
        for name in names(0..<count) { world.store.set(name, "") }
    }

    private func open() async throws -> HandleNumber {
        try await driver.wait { driver.fileSystem.openDirectory(.root, reply: $0) }
    }

    /// What is there behind `offset`, which moves on.
    private func read(_ handle: HandleNumber, _ offset: inout Int64, limit: Int = .max) throws(Errno) -> [String] {
        var found: [String] = []
        var next = offset
        try driver.fileSystem.readDirectory(handle, offset: offset, withAttributes: false) { entry in
            guard found.count < limit else { return false }
            found.append(entry.name)
            next = entry.nextOffset
            return true
        }
        offset = next
        return found.filter { $0 != "." && $0 != ".." }
    }

    @Test func theFirstNamesAreReadBeforeTheLastPageComes() async throws {
        fill(2500)
        world.faulty.script(.list, .none, .none, .delay(.seconds(5)))
        let handle = try await open()
        var offset: Int64 = 0
        var found = try read(handle, &offset)
        while found.count < 2000 {
            try await driver.wait { driver.fileSystem.awaitEntries(handle, offset: offset, reply: $0) }
            found += try read(handle, &offset)
        }
        #expect(found == names(0..<2000))
        let answer = Mutex<Result<Void, Errno>?>(nil)
        let pending = driver.fileSystem.awaitEntries(handle, offset: offset) { result in
            answer.withLock { $0 = result }
        }
        #expect(pending != nil && answer.withLock { $0 == nil })
        // In small steps: a reader waits for no more than ten seconds of silence.
        #expect(
            await eventually {
                world.time.advance(by: .milliseconds(10))
                return answer.withLock { $0 != nil }
            })
        #expect(throws: Never.self) { try answer.withLock { $0 }?.get() }
        #expect(try read(handle, &offset) == names(2000..<2500))
        try await driver.wait { driver.fileSystem.awaitEntries(handle, offset: offset, reply: $0) }
        #expect(try read(handle, &offset).isEmpty)
        driver.fileSystem.releaseDirectory(handle)
    }

    @Test func aReaderWhoWaitsForNamesCanBeInterrupted() async throws {
        fill(1500)
        world.faulty.script(.list, .none, .delay(.seconds(5)))
        let handle = try await open()
        var offset: Int64 = 0
        #expect(try read(handle, &offset).count == 1000)
        let answer = Mutex<Errno?>(nil)
        let pending = driver.fileSystem.awaitEntries(handle, offset: offset) { result in
            if case .failure(let errno) = result { answer.withLock { $0 = errno } }
        }
        pending?.interrupt()
        #expect(answer.withLock { $0 } == .interrupted)
    }

    @Test func aListingThatBreaksOffIsAnErrorBehindWhatCame() async throws {
        fill(1500)
        world.faulty.script(.list, .none, .unreachable)
        let handle = try await open()
        var offset: Int64 = 0
        #expect(try read(handle, &offset).count == 1000)
        await #expect(throws: Errno.ioError) {
            try await driver.wait { driver.fileSystem.awaitEntries(handle, offset: offset, reply: $0) }
        }
        #expect(throws: Errno.ioError) { try read(handle, &offset) }
        // Another try reads anew.
        #expect(await world.comesTrue { !world.link.isOffline })
        #expect(try await driver.readAll(handle, batch: 500) == names(0..<1500))
    }

    @Test func namesMadeHereAndThoseOfTheListingComeOnceEach() async throws {
        fill(1500)
        world.faulty.script(.list, .none, .delay(.seconds(5)))
        try await driver.inParent("f10700-made") { parent, name in
            let (entry, opened) = try driver.fileSystem.create(
                name, in: parent, permissions: 0o644, mode: .write, caller: driver.caller)
            driver.fileSystem.forget(entry.attributes.inode, count: 1)
            driver.fileSystem.release(opened.handle)
        }
        let handle = try await open()
        var offset: Int64 = 0
        var found = try read(handle, &offset, limit: 700)
        #expect(await world.comesTrue { (try? world.journal.read { try $0.isListed(.root) }) == true })
        while true {
            try await driver.wait { driver.fileSystem.awaitEntries(handle, offset: offset, reply: $0) }
            let more = try read(handle, &offset)
            if more.isEmpty { break }
            found += more
        }
        #expect(found.count == 1501 && Set(found).count == 1501)
    }

    @Test func aPlaceInALargeDirectoryStaysWhereItIs() async throws {
        fill(3000)
        let handle = try await open()
        let all = try await driver.readAll(handle, batch: 100)
        #expect(all == names(0..<3000))
        for index in [0, 1, 1023, 1024, 2047, 2999] {
            try await driver.unlink(all[index])
            var offset = Int64(index + 2)
            #expect(try read(handle, &offset, limit: 1) == [all[index]])
        }
    }

    @Test func namesAreTakenAheadWithTheirRowsWhenFewAreLeft() async throws {
        fill(3000)
        _ = try await driver.list("")
        let journal = world.journal
        let stream = DirectoryStream(directory: .root, isFollowing: false)
        func take() throws { try journal.read { try stream.take(in: $0, at: journal.version) } }
        func row(_ index: Int) throws -> Cache.Inode? {
            guard case .entry(_, let row) = try stream.place(index, at: journal.version) else { return nil }
            return row
        }
        #expect(!stream.isRunningOut)
        try take()
        #expect(try row(500) != nil && !stream.isRunningOut)
        #expect(try row(600) != nil && stream.isRunningOut)
        try take()
        for index in [600, 1023, 1024, 2047] { #expect(try row(index) != nil) }
        #expect(stream.isRunningOut)
        // Rows of then are not those of now.
        try await driver.unlink(names(2050..<2051)[0])
        #expect(try row(2047) == nil)
        try take()
        #expect(try row(2048) != nil && !stream.isRunningOut)
    }

    @Test func whoReadsAheadMeetsEachNameOnce() async throws {
        fill(3000)
        _ = try await driver.list("")
        let handle = try await open()
        var offset: Int64 = 0
        var found: [String] = []
        while true {
            let more = try read(handle, &offset, limit: 100)
            if more.isEmpty { break }
            found += more
            driver.fileSystem.readAhead(inDirectory: handle)
        }
        #expect(found == names(0..<3000))
        driver.fileSystem.releaseDirectory(handle)
    }

    @Test func namesArePackedAndComeOutAsTheyWere() throws {
        var names = DirectoryNames()
        var random = SeededRandom(seed: 1)
        let entries = try (0..<5000).map { index in
            // Names with much and with nothing in common, cut within a character; inodes far apart, in both directions.
            let common = "common-ä\u{e9}\(index)" + String(repeating: "ö", count: index % 100)
            let name = index % 3 == 0 ? "\(random.next())" : common
            return DirectoryNames.Entry(
                name: try #require(FileName(name)),
                inode: InodeNumber(rawValue: index % 5 == 0 ? random.next() : UInt64(index)),
                kind: InodeKind.allCases[index % 7], isAmbiguous: index % 3 == 0)
        }
        for entry in entries { names.append(entry) }
        #expect(names.count == 5000)
        for index in entries.indices { #expect(names[index] == entries[index]) }
    }
}

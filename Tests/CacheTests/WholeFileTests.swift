import ObjectStore
import Platform
import Testing

@testable import Cache

/// Files that come as a whole: they take one file on the disk, not two.
@Suite struct WholeFileTests {
    let fixture: CacheFixture
    let number: InodeNumber

    init() throws {
        fixture = try CacheFixture()
        number = try fixture.makeRemoteFile("a", size: 5)
        let file = try fixture.cache.acquire(number)
        try file.fill("hello", at: 0)
        fixture.cache.release(file)
    }

    private var hasLog: Bool {
        get throws {
            try fixture.copyForExamination { path in
                let disk = try PosixDisk(path: path)
                return (try? disk.status(of: FileCache.rangeLogName(number))) != nil
            }
        }
    }

    private func isThere() throws -> Bool {
        let file = try fixture.cache.acquire(number)
        defer { fixture.cache.release(file) }
        return file.missing(in: 0..<5).isEmpty
    }

    @Test func noRangeLogIsMade() throws {
        #expect(try !hasLog)
        try fixture.cache.flush()
        #expect(try !hasLog)
        #expect(try fixture.row(number)?.local == .complete)
    }

    @Test func closedAndOpenedAgainItIsThere() throws {
        #expect(try isThere())
        try fixture.cache.flush()
        #expect(try isThere())
        try fixture.reopen()
        #expect(try isThere())
    }

    @Test func whatADeadProcessDidNotFlushIsFetchedAgain() throws {
        try fixture.reopen()
        #expect(try !isThere())
    }

    @Test func manyAreJournaledByOneFlush() throws {
        let numbers = try (0..<100).map { try fixture.makeRemoteFile("file\($0)", size: 5) }
        for number in numbers { try fixture.fetch(number, "hello") }
        try fixture.cache.flush()
        #expect(try numbers.allSatisfy { try fixture.row($0)?.local == .complete })
        try fixture.reopen()
        for number in numbers {
            let file = try fixture.cache.acquire(number)
            #expect(try file.text() == "hello" && file.missing(in: 0..<5).isEmpty)
            fixture.cache.release(file)
        }
    }

    @Test func changedBeforeTheFlushItsOtherBytesSurviveADeath() throws {
        let file = try fixture.cache.acquire(number, forWriting: true)
        try file.write("J", at: 0)
        try fixture.reopen()
        let found = try fixture.cache.acquire(number)
        #expect(try found.missing(in: 0..<5).isEmpty && found.text() == "Jello")
    }

    @Test func changedAndSyncedItsOtherBytesSurviveAPowerCut() throws {
        let file = try fixture.cache.acquire(number, forWriting: true)
        try file.write("J", at: 0)
        try fixture.cache.synchronize(file)
        fixture.boot = BootIdentity(high: 2, low: 1)
        try fixture.reopen()
        let found = try fixture.cache.acquire(number)
        #expect(try found.missing(in: 0..<5).isEmpty && found.text() == "Jello")
    }
}

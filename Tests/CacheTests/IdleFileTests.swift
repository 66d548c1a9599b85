import ObjectStore
import Platform
import Testing

@testable import Cache

@Suite struct IdleFileTests {
    let fixture: CacheFixture

    init() throws { fixture = try CacheFixture() }

    @Test func aFileClosedJustBeforeTheProcessDiedHasItsSizeAndItsTimesAfterwards() throws {
        let number = try fixture.makeFile("a")
        let written = Timestamp(seconds: 2_000_000_000, nanoseconds: 123_456_789)
        fixture.time.setWall(written)
        try write("hello", to: number)
        fixture.time.setWall(Timestamp(seconds: 2_100_000_000))
        try fixture.reopen()
        // The row says it when the bytes are on the disk for good.
        #expect(fixture.cache.status(of: number)?.size == 5)
        try fixture.cache.flush()
        let row = try #require(try fixture.row(number))
        #expect(row.size == 5)
        #expect(row.modified == written)
        #expect(row.changed == written)
    }

    /// No sync of bytes makes times durable, and a later process of the same boot believes the data file.
    @Test func aTimeThatThePowerCutTookFromADataFileIsGivenBackToIt() throws {
        let number = try fixture.makeFile("f")
        let file = try fixture.cache.acquire(number)
        try file.write("text", at: 0)
        try file.setModified(Timestamp(seconds: 1000))
        fixture.cache.release(file)
        try fixture.cache.flush()
        fixture.boot = BootIdentity(high: 2, low: 1)
        try fixture.reopen { directory in
            let disk = try PosixDisk(path: directory.path)
            try disk.open(FileCache.dataName(number), .existing).setModified(Timestamp(seconds: 2000))
        }
        #expect(try fixture.row(number)?.modified == Timestamp(seconds: 1000))
        try fixture.reopen()
        #expect(try fixture.row(number)?.modified == Timestamp(seconds: 1000))
    }

    @Test func whatAFileBecameIsJournaledByTheNextFlush() throws {
        let number = try fixture.makeFile("a")
        try write("hello", to: number)
        try fixture.cache.flush()
        #expect(try fixture.row(number)?.size == 5)
        #expect(fixture.cache.openFile(number) == nil)
    }

    @Test func manyFilesWrittenAndClosedTakeFewDescriptors() throws {
        let numbers = try (0..<600).map { try fixture.makeFile("file\($0)") }
        for number in numbers { try write("hello", to: number) }
        #expect(numbers.count { fixture.cache.openFile($0) != nil } <= 256)
        #expect(try fixture.cache.usage().dirty == 600 * 4096)
        try fixture.cache.flush()
        #expect(try numbers.allSatisfy { try fixture.row($0)?.size == 5 })
        #expect(try fixture.cache.usage().used == 600 * 4096)
    }

    @Test func aFileThatWasFetchedAndClosedIsOpenUntilTheNextFlush() throws {
        let numbers = try (0..<3).map { try fixture.makeRemoteFile("file\($0)", size: 4) }
        for number in numbers {
            let file = try fixture.fetch(number, "text")
            #expect(fixture.cache.openFile(number) === file)
        }
        let before = fixture.journal.version
        try fixture.cache.closeIdle()
        #expect(fixture.journal.version == before + 1, "all in one transaction")
        for number in numbers {
            #expect(fixture.cache.openFile(number) == nil)
            #expect(try fixture.journal.read { try !$0.checksums(of: number, page: 0).isEmpty })
            #expect(try fixture.row(number)?.localBytes == 4096)
        }
        try fixture.cache.flush()
        #expect(try numbers.allSatisfy { try fixture.row($0)?.local == .complete })
    }

    @Test func aFileOpenedAgainAtOnceGoesOnWithItsBytes() throws {
        let number = try fixture.makeFile("a")
        try write("hello", to: number)
        let again = try fixture.cache.acquire(number)
        try again.write("robot", at: 5)
        try fixture.cache.flush()
        #expect(try again.text() == "hellorobot")
        #expect(fixture.cache.openFile(number) === again)
        fixture.cache.release(again)
        try fixture.cache.flush()
        #expect(try fixture.row(number)?.size == 10)
    }

    @Test func aFileUploadedJustAfterItsCloseMakesRoomWhenRoomIsNeeded() throws {
        let number = try fixture.makeFile("a")
        try write("hello", to: number)
        let file = try fixture.cache.acquire(number)
        let object = RemoteObject(key: ObjectKey("a"), etag: ETag("v1"), size: 5)
        try file.finishUpload(of: file.version, as: object) { _ in
            try fixture.journal.write { transaction in
                guard var inode = try transaction.inode(number) else { return }
                inode.pending = []
                inode.remote = object
                inode.size = 5
                try transaction.update(inode)
            }
        }
        fixture.cache.release(file)
        try fixture.cache.admit(1 << 30)
        #expect(try fixture.row(number)?.local == Inode.LocalData.none)
    }

    private func write(_ text: String, to number: InodeNumber) throws {
        let file = try fixture.cache.acquire(number, forWriting: true)
        try file.write(text, at: 0)
        fixture.cache.release(file, forWriting: true)
    }
}

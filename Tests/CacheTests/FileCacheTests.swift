import ObjectStore
import Platform
import TestKit
import Testing

@testable import Cache

@Suite struct FileCacheTests {
    let fixture: CacheFixture

    init() throws { fixture = try CacheFixture() }

    @Test func aFileIsJournaledDirtyBeforeItsFirstByteChanges() throws {
        let number = try fixture.makeRemoteFile("a", size: 4)
        let file = try fixture.cache.acquire(number)
        var pendingDuringWrite: PendingChange?
        _ = try file.write(at: 0, count: 0) { _, _ in
            pendingDuringWrite = try? fixture.row(number)?.pending
            return 0
        }
        #expect(pendingDuringWrite == .content)
    }

    @Test func whatWasWrittenBeforeTheProcessDiedIsThereAfterwards() throws {
        let number = try fixture.makeFile("a")
        let file = try fixture.cache.acquire(number)
        try file.write("hello", at: 0)
        try file.write("robot", at: 5)
        try fixture.reopen()
        let again = try fixture.cache.acquire(number)
        #expect(try again.text() == "hellorobot")
        #expect(again.isDirty)
        try fixture.cache.flush()
        #expect(try fixture.row(number)?.size == 10)
    }

    @Test func writtenBytesOfAPartialFileSurviveTheProcessAndTheRestIsMissing() throws {
        let number = try fixture.makeRemoteFile("a", size: 10)
        try fixture.cache.acquire(number).write("XY", at: 4)
        try fixture.reopen()
        let file = try fixture.cache.acquire(number)
        #expect(file.missing(in: 0..<100) == [0..<4, 6..<10])
        try file.fill("0123456789", at: 0)
        #expect(try file.text() == "0123XY6789")
    }

    @Test func fetchedBytesNeverReplaceWrittenOnes() throws {
        let file = try fixture.cache.acquire(try fixture.makeRemoteFile("a", size: 6))
        try file.write("LOCAL", at: 1)
        try file.fill("remote", at: 0)
        #expect(try file.text() == "rLOCAL")
    }

    @Test func bytesOfAnotherVersionAreIgnored() throws {
        let file = try fixture.cache.acquire(try fixture.makeRemoteFile("a", size: 6))
        try file.fill("remote", at: 0, of: "v2")
        #expect(file.missing(in: 0..<6) == [0..<6])
    }

    @Test func bytesCutAwayNeverComeBackFromTheObject() throws {
        let number = try fixture.makeRemoteFile("a", size: 10)
        let file = try fixture.cache.acquire(number)
        try file.truncate(to: 3)
        try file.truncate(to: 8)
        #expect(file.missing(in: 0..<8) == [0..<3])
        try fixture.reopen()
        let again = try fixture.cache.acquire(number)
        #expect(again.missing(in: 0..<8) == [0..<3])
        try again.fill("0123456789", at: 0)
        #expect(try again.text() == "012\0\0\0\0\0")
    }

    /// The process died between the two: the range log does not say that the file was cut, nor does it when that is
    /// looked at; it has to before the file grows.
    @Test func aCutThatOnlyTheDataFileTellsOfIsKept() throws {
        let number = try fixture.makeRemoteFile("a", size: 10)
        let file = try fixture.cache.acquire(number)
        try file.write("w", at: 5)
        try fixture.journal.write { transaction in
            guard var row = try transaction.inode(number) else { return }
            row.size = 3
            try transaction.updateSizeAndTimes(of: row)
        }
        try fixture.reopen { directory in
            try PosixDisk(path: directory.path).open(FileCache.dataName(number), .existing).truncate(to: 3)
        }
        for _ in 0..<2 {
            let again = try fixture.cache.acquire(number)
            #expect(again.missing(in: 0..<10) == [0..<3] && again.status.size == 3)
            try fixture.reopen()
        }
        let grown = try fixture.cache.acquire(number)
        try grown.write("W", at: 7)
        try fixture.reopen()
        let last = try fixture.cache.acquire(number)
        #expect(last.missing(in: 0..<10) == [0..<3])
        try last.fill("0123456789", at: 0)
        #expect(try last.text() == "012\0\0\0\0W")
    }

    @Test func afterAPowerCutOnlySyncedRangesOfAPartialFileCount() throws {
        let number = try fixture.makeRemoteFile("a", size: 10)
        let file = try fixture.cache.acquire(number)
        try file.fill("01", at: 0)
        try fixture.cache.flush()
        try file.fill("23", at: 2)
        fixture.boot = BootIdentity(high: 2, low: 2)
        try fixture.reopen()
        #expect(try fixture.cache.acquire(number).missing(in: 0..<10) == [2..<10])
    }

    @Test func rangesDroppedAfterAPowerCutStayDroppedAfterTheNextCrash() throws {
        let number = try fixture.makeRemoteFile("a", size: 10)
        try fixture.cache.acquire(number).fill("01", at: 0)
        fixture.boot = BootIdentity(high: 2, low: 2)
        try fixture.reopen()
        try fixture.cache.acquire(number).fill("89", at: 8)
        try fixture.reopen()
        #expect(try fixture.cache.acquire(number).missing(in: 0..<10) == [0..<8])
    }

    @Test func anUploadOfAnOlderStateLeavesTheFileDirty() throws {
        let number = try fixture.makeFile("a")
        let file = try fixture.cache.acquire(number)
        try file.write("one", at: 0)
        let version = file.version
        try file.write("two", at: 0)
        let object = RemoteObject(key: ObjectKey("a"), etag: ETag("v1"), size: 3)
        try file.finishUpload(of: version, as: object) { #expect(!$0) }
        #expect(file.isDirty)
        try file.finishUpload(of: file.version, as: object) { #expect($0) }
        #expect(!file.isDirty)
    }

    /// Which the disk may hold up for as long as an upload takes.
    @Test func anUploadWithinAWriteLeavesTheFileDirty() throws {
        let file = try fixture.cache.acquire(fixture.makeFile("a"))
        try file.write("one", at: 0)
        let object = RemoteObject(key: ObjectKey("a"), etag: ETag("v1"), size: 3)
        try file.write("two", at: 0) {
            let version = file.version
            #expect(file.version != version && file.version.rewrites != version.rewrites)
            #expect(throws: Never.self) { try file.finishUpload(of: version, as: object) { #expect(!$0) } }
        }
        #expect(try file.isDirty && file.text() == "two")
        #expect(file.version == file.version)
    }

    @Test func anAppendThatIsUnderWayRewritesNothing() throws {
        let file = try fixture.cache.acquire(fixture.makeFile("a"))
        try file.write("one", at: 0)
        try file.write("two", at: 3) {
            let version = file.version
            #expect(file.version != version && file.version.rewrites == version.rewrites)
        }
    }

    /// Flushing, writing and the end of uploads take the same locks, in one order.
    @Test(.timeLimit(.minutes(1))) func flushingGoesOnWhileFilesAreWrittenAndUploaded() async throws {
        let (cache, journal) = (fixture.cache, fixture.journal)
        let file = try cache.acquire(try fixture.makeFile("a"))
        let flushing = Task.detached {
            while !Task.isCancelled { try cache.flush() }
        }
        for index in 0..<2000 {
            try file.write("x", at: Int64(index))
            let version = file.version
            let object = RemoteObject(key: ObjectKey("a"), etag: ETag("v\(index)"), size: version.size)
            try file.finishUpload(of: version, as: object) { isCurrent in
                try journal.write { transaction in
                    guard var inode = try transaction.inode(file.inode) else { return }
                    inode.remote = object
                    inode.size = version.size
                    if isCurrent { inode.pending = [] }
                    try transaction.update(inode)
                }
            }
        }
        flushing.cancel()
        try await flushing.value
        #expect(try fixture.row(file.inode)?.size == 2000)
    }

    @Test func cleanFilesAreEvictedLeastRecentlyUsedFirstAndDirtyOnesNever() throws {
        fixture.limits = CacheLimits(limit: 10_000, reserve: 0)
        try fixture.reopen()
        let text = String(repeating: "x", count: 4096)
        let dirty = try fixture.makeFile("dirty")
        try close(dirty, after: { try $0.write(text, at: 0) })
        var clean: [InodeNumber] = []
        for index in 0..<3 {
            let number = try fixture.makeRemoteFile("clean\(index)", size: 4096)
            fixture.time.advance(by: .seconds(1))
            fixture.time.setWall(Timestamp(seconds: 2_000_000_000 + Int64(index)))
            try close(number, after: { try $0.fill(text, at: 0) })
            clean.append(number)
        }
        try fixture.cache.flush()
        #expect(try fixture.row(dirty)?.local == .complete)
        #expect(
            try clean.map { try fixture.row($0)?.local } == [Inode.LocalData.none, Inode.LocalData.none, .complete])
        #expect(try fixture.cache.usage().used <= 10_000)
        #expect(try fixture.cache.acquire(clean[0]).missing(in: 0..<4096) == [0..<4096])
    }

    @Test func writingFailsBeforeTheDiskIsFull() throws {
        fixture.limits = CacheLimits(limit: 1000, reserve: 0)
        try fixture.reopen()
        #expect(throws: CacheError.noSpace) { try fixture.cache.admit(1001) }
        try fixture.cache.admit(500)
    }

    @Test func dataThatNoInodeExplainsIsPutAside() throws {
        try fixture.directory.write("precious", to: "data/07/7")
        try fixture.reopen()
        #expect(!fixture.directory.exists("data/07/7"))
        let aside = try PosixDisk(path: fixture.directory.path).names(in: "quarantine")
        #expect(aside.count == 1)
        #expect(fixture.directory.read("quarantine/\(aside.first ?? "")") == Array("precious".utf8))
    }

    @Test func unsentBytesThatAreGoneAreReportedAndNotTakenForZeros() throws {
        let number = try fixture.makeFile("a")
        try close(number, after: { try $0.write("hello", at: 0) })
        try fixture.cache.flush()
        try PosixDisk(path: fixture.directory.path).remove("data/02/2")
        try fixture.reopen()
        #expect(throws: CacheError.self) { try fixture.cache.acquire(number) }
        #expect(try fixture.journal.read { try $0.events(.error) }.map(\.path) == ["a"])
    }

    @Test func anUnlinkedFileIsUsableUntilItIsClosed() throws {
        let number = try fixture.makeFile("a")
        let file = try fixture.cache.acquire(number)
        try fixture.journal.write { transaction in
            guard var inode = try transaction.inode(number), let name = FileName("a") else { return }
            inode.linkCount = 0
            try transaction.update(inode)
            try transaction.unlink(name, in: .root)
        }
        fixture.cache.remove(number)
        try fixture.cache.flush()
        try file.write("still", at: 0)
        #expect(try file.text() == "still")
        fixture.cache.release(file)
        try fixture.cache.flush()
        #expect(try fixture.row(number) == nil)
        #expect(!fixture.directory.exists("data/02/2"))
    }

    private func close(_ number: InodeNumber, after body: (CachedFile) throws -> Void) throws {
        let file = try fixture.cache.acquire(number)
        try body(file)
        fixture.cache.release(file)
    }
}

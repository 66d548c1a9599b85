import ObjectStore
import Platform
import Testing

@testable import Cache

/// An object that was copied on the server, with another ETag, under a file that is not wholly local.
@Suite struct RebaseTests {
    private let copy = RemoteObject(key: ObjectKey("moved"), etag: ETag("v2"), size: 10)

    private func rebase(_ number: InodeNumber, in fixture: CacheFixture) throws {
        try fixture.cache.rebase(number, on: copy) {
            try fixture.journal.write { transaction in
                guard var inode = try transaction.inode(number) else { return }
                inode.remote = copy
                try transaction.update(inode)
            }
        }
    }

    @Test(arguments: [true, false], [false, true])
    func bytesWrittenBeforeStayKnownAfterTheProcessDied(isOpen: Bool, powerIsCut: Bool) throws {
        let fixture = try CacheFixture()
        let number = try fixture.makeRemoteFile("file", size: 10)
        let file = try fixture.cache.acquire(number)
        try file.write("new", at: 2)
        try file.synchronize()
        if !isOpen { fixture.cache.release(file) }
        try rebase(number, in: fixture)
        if powerIsCut { fixture.boot = BootIdentity(high: 2, low: 2) }
        for _ in 0..<2 {
            try fixture.reopen()
            let found = try fixture.cache.acquire(number)
            #expect(found.missing(in: 0..<10) == [0..<2, 5..<10])
            #expect(found.base == copy)
            #expect(try String(found.text().dropFirst(2).prefix(3)) == "new")
        }
    }

    @Test func aCopyThatTheJournalNeverLearntOfLeavesEverythingAsItWas() throws {
        struct Died: Error {}
        let fixture = try CacheFixture()
        let number = try fixture.makeRemoteFile("file", size: 10)
        let file = try fixture.cache.acquire(number)
        try file.write("new", at: 2)
        #expect(throws: Died.self) { try fixture.cache.rebase(number, on: copy) { throw Died() } }
        #expect(file.base?.etag == ETag("v1"))
        try fixture.reopen()
        #expect(try fixture.cache.acquire(number).missing(in: 0..<10) == [0..<2, 5..<10])
    }

    @Test func afterwardsBytesOfTheCopyAreTaken() throws {
        let fixture = try CacheFixture()
        let number = try fixture.makeRemoteFile("file", size: 10)
        let file = try fixture.cache.acquire(number)
        try rebase(number, in: fixture)
        try file.fill("0123456789", at: 0, of: "v1")
        #expect(file.missing(in: 0..<10) == [0..<10])
        try file.fill("0123456789", at: 0, of: "v2")
        #expect(file.missing(in: 0..<10).isEmpty)
    }

    @Test func aFileWithoutLocalBytesStaysWithoutThem() throws {
        let fixture = try CacheFixture()
        let number = try fixture.makeRemoteFile("file", size: 10)
        try rebase(number, in: fixture)
        #expect(try fixture.row(number)?.local == Inode.LocalData.none)
        #expect(try fixture.row(number)?.remote == copy)
    }

    @Test func uploadsOfDeletedFilesAreRememberedUntilTheyAreAborted() throws {
        let fixture = try CacheFixture()
        let number = try fixture.makeFile("file")
        let record = MultipartRecord(key: ObjectKey("file"), id: UploadID("u"), partSize: 8, token: "t")
        try fixture.journal.write { try $0.setMultipart(record, of: number) }
        #expect(try fixture.journal.read { try $0.abandonedMultiparts().isEmpty })
        try fixture.journal.write { try $0.deleteInode(number) }
        let abandoned = try fixture.journal.read { try $0.abandonedMultiparts() }
        #expect(abandoned.map(\.inode) == [number] && abandoned.map(\.record) == [record])
        try fixture.journal.write { try $0.removeMultipart(of: number) }
        #expect(try fixture.journal.read { try $0.abandonedMultiparts().isEmpty })
    }
}

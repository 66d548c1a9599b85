import Foundation
import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing

@testable import Cache

/// Files whose bytes go past this process (FUSE passthrough): the tests write into data files as the kernel does.
@Suite struct HandoverTests {
    let fixture: CacheFixture
    private var cache: FileCache { fixture.cache }

    init() throws {
        fixture = try CacheFixture()
        // Times of data files are those of the machine.
        fixture.time.setWall(SystemTime().wall)
    }

    /// An open handle of the kernel's own.
    private func outsider(_ number: InodeNumber) throws -> FileHandle {
        try #require(FileHandle(forUpdatingAtPath: fixture.directory.path(FileCache.dataName(number))))
    }

    private func write(_ text: String, at offset: UInt64, into number: InodeNumber) throws {
        let file = try outsider(number)
        try file.seek(toOffset: offset)
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }

    /// Fetched and compared, open.
    private func cleanFile(_ name: String, _ text: String) throws -> CachedFile {
        let file = try cache.acquire(try fixture.makeCleanFile(name, text))
        try file.verify(0..<Int64(text.utf8.count))
        return file
    }

    private func isDirty(_ file: CachedFile) throws -> Bool {
        try fixture.row(file.inode)?.pending.contains(.content) ?? false
    }

    // MARK: Who may

    @Test func aFileWithChangesMayBeHandedOver() throws {
        let file = try cache.acquire(try fixture.makeFile("a", "text"), forWriting: true)
        for access in [FileAccess.reading, .writing, .both] {
            #expect(file.mayBeHandedOver(for: access))
        }
    }

    @Test func aCleanFileMayBeHandedToReadersOnceAllOfItWasCompared() throws {
        let number = try fixture.makeCleanFile("a", "text")
        try fixture.reopen()
        try opened(number) { file in
            #expect(!file.mayBeHandedOver(for: .reading))
            try file.verify(0..<4)
            #expect(file.mayBeHandedOver(for: .reading) && !file.mayBeHandedOver(for: .writing))
        }
        // What was compared stays so when the file is closed, until it is evicted.
        try opened(number) { #expect($0.mayBeHandedOver(for: .reading)) }
        try cache.evict(atLeast: .max)
        try opened(number) { file in
            try file.fill("text", at: 0)
            try cache.flush()
            try file.verify(0..<4)
            #expect(file.mayBeHandedOver(for: .reading))
        }
        try opened(number) { #expect($0.mayBeHandedOver(for: .reading)) }
    }

    private func opened(_ number: InodeNumber, _ body: (CachedFile) throws -> Void) throws {
        let file = try cache.acquire(number)
        try body(file)
        cache.release(file)
    }

    @Test func aFileThatIsNotWhollyLocalIsNotHandedOver() throws {
        let file = try cache.acquire(try fixture.makeRemoteFile("a", size: 10))
        try file.fill("hello", at: 0)
        #expect(!file.mayBeHandedOver(for: .reading))
        try file.write("x", at: 0)
        #expect(!file.mayBeHandedOver(for: .reading) && !file.mayBeHandedOver(for: .writing))
    }

    @Test func aFileThatWasFetchedJustNowMayBeHandedOverAndIsSettledForWhoWrites() throws {
        let file = try cache.acquire(try fixture.makeRemoteFile("a", size: 4))
        try file.fill("text", at: 0)
        #expect(file.mayBeHandedOver(for: .reading) && !file.mayBeHandedOver(for: .writing))
        try cache.handOver(file, for: .reading)
        #expect(try fixture.row(file.inode)?.local != .complete)
        try cache.handOver(file, for: .writing)
        let row = try #require(try fixture.row(file.inode))
        #expect(row.local == .complete && row.pending.contains(.content))
        try write("T", at: 0, into: file.inode)
        cache.handBack(file, .writing)
        cache.handBack(file, .reading)
        cache.release(file)
        try fixture.reopen()
        #expect(try cache.acquire(file.inode).text() == "Text")
    }

    @Test func aFileThatSomebodyElseHasOpenIsNotHandedOver() throws {
        let file = try cache.acquire(try fixture.makeFile("a", "text"), forWriting: true)
        let other = try outsider(file.inode)
        #expect(!file.mayBeHandedOver(for: .writing))
        try other.close()
        #expect(file.mayBeHandedOver(for: .writing))
    }

    @Test func whoWritesIsNotHandedAFileNearTheLimits() throws {
        let file = try cache.acquire(try fixture.makeFile("a", "text"), forWriting: true)
        #expect(cache.mayHandOver(file, for: .reading) && !cache.mayHandOver(file, for: .writing))
        fixture.limits.limit = 1 << 40
        try fixture.reopen()
        let roomy = try cache.acquire(file.inode, forWriting: true)
        let disk = try PosixDisk(path: fixture.directory.path).space().available
        #expect(cache.mayHandOver(roomy, for: .writing) == (disk >= FileCache.spareRoom))
    }

    // MARK: What is written

    @Test func sizeAndTimeFollowTheDataFileAndEachChangeIsAnotherVersion() throws {
        let file = try cache.acquire(try fixture.makeFile("a", "text"), forWriting: true)
        try cache.handOver(file, for: .writing)
        let version = file.version
        #expect(!version.isExact && file.version == version)
        try write("more", at: 4, into: file.inode)
        #expect(file.status.size == 8 && file.version.size == 8)
        #expect(file.version != version && file.version.rewrites != version.rewrites)
        #expect(file.status.modified == (try outsiderTime(file)))
        #expect(cache.status(of: file.inode)?.size == 8)
        cache.handBack(file, .writing)
        #expect(file.version.isExact && file.status.size == 8)
    }

    private func outsiderTime(_ file: CachedFile) throws -> Timestamp { try file.file.status().modified }

    @Test func aFileIsJournaledDirtyBeforeItIsHandedToOneThatWrites() throws {
        let file = try cleanFile("a", "text")
        try cache.handOver(file, for: .reading)
        #expect(try !isDirty(file))
        try cache.handOver(file, for: .writing)
        #expect(try isDirty(file) && file.isDirty)
    }

    @Test func aCleanFileIntoWhichNobodyWroteIsCleanAgainWithItsChecksums() throws {
        fixture.time.setWall(Timestamp(seconds: 1_600_000_000))
        let file = try cleanFile("a", "text")
        fixture.time.setWall(SystemTime().wall)
        let modified = file.status.modified
        try cache.handOver(file, for: .reading)
        try cache.handOver(file, for: .both)
        #expect(try isDirty(file))
        cache.handBack(file, .both)
        #expect(try isDirty(file), "who maps it may still store")
        cache.handBack(file, .reading)
        fixture.time.advance(by: FileCache.closingTime)
        #expect(try !isDirty(file) && !file.isDirty && file.status.modified == modified)
        try cache.flush()
        #expect(try fixture.journal.read { try $0.checksums(of: file.inode, page: 0) } != [])
        #expect(file.mayBeHandedOver(for: .reading))
    }

    @Test(arguments: [FileAccess.writing, .both])
    func aCleanFileIntoWhichSomebodyWroteStaysDirty(_ access: FileAccess) throws {
        fixture.time.setWall(Timestamp(seconds: 1_600_000_000))
        let file = try cleanFile("a", "text")
        fixture.time.setWall(SystemTime().wall)
        try cache.handOver(file, for: access)
        try write("T", at: 0, into: file.inode)
        cache.handBack(file, access)
        #expect(try isDirty(file) && file.text() == "Text")
    }

    @Test func aFileThatChangedJustNowCannotTellThatNobodyWrote() throws {
        fixture.time.setWall(Timestamp(seconds: 1_600_000_000))
        let file = try cleanFile("a", "text")
        try cache.handOver(file, for: .writing)
        cache.handBack(file, .writing)
        #expect(try isDirty(file))
    }

    @Test func anUploadLeavesAFileThatIsWrittenPastThisProcessDirty() throws {
        let file = try cache.acquire(try fixture.makeFile("a", "text"), forWriting: true)
        try cache.handOver(file, for: .writing)
        let version = file.version
        let object = RemoteObject(key: ObjectKey("a"), etag: ETag("v1"), size: 4)
        var told: Bool?
        try file.finishUpload(of: version, as: object) { told = $0 }
        #expect(told == false && file.isDirty)
        cache.handBack(file, .writing)
        try file.finishUpload(of: version, as: object) { told = $0 }
        #expect(told == false, "the version is one of before the end")
        try file.finishUpload(of: file.version, as: object) { told = $0 }
        #expect(told == true)
    }

    @Test func theFlushTimerSyncsWhatWasWrittenAndSettlesItsSize() throws {
        let file = try cache.acquire(try fixture.makeFile("a", "text"), forWriting: true)
        try cache.handOver(file, for: .writing)
        try cache.flush()
        try write("more", at: 4, into: file.inode)
        #expect(file.isUnsynced)
        try cache.flush()
        #expect(try fixture.row(file.inode)?.size == 8)
        // Time must have passed before a file may count as resting.
        #expect(file.isUnsynced)
        fixture.time.advance(by: .seconds(10))
        try cache.flush()
        #expect(!file.isUnsynced)
        try write("!", at: 8, into: file.inode)
        #expect(file.isUnsynced)
    }

    /// As the next write of a program does that comes within one tick of the kernel's clock.
    private func write(_ text: String, withoutATraceInto number: InodeNumber) throws {
        let file = try PosixDisk(path: fixture.directory.path).open(FileCache.dataName(number), .existing)
        let time = try file.status().modified
        try file.write(Array(text.utf8), at: 0)
        try file.setModified(time)
    }

    @Test func whatIsWrittenRightAfterASyncIsSyncedByALaterOne() throws {
        let file = try cache.acquire(try fixture.makeFile("a", "text"), forWriting: true)
        try cache.handOver(file, for: .writing)
        try write("more", at: 0, into: file.inode)
        try cache.flush()
        try write("same", withoutATraceInto: file.inode)
        fixture.time.advance(by: .seconds(10))
        #expect(file.isUnsynced)
        try cache.flush()
        #expect(!file.isUnsynced)
    }

    @Test(arguments: [false, true])
    func aFileThatWasSentIsCleanAtTheEndOnlyIfItRestedBefore(_ isResting: Bool) throws {
        let file = try cache.acquire(try fixture.makeFile("a", "text"), forWriting: true)
        try cache.handOver(file, for: .writing)
        try write("more", at: 0, into: file.inode)
        if isResting { fixture.time.advance(by: .seconds(10)) }
        let version = file.version
        if !isResting { try write("same", withoutATraceInto: file.inode) }
        fixture.time.advance(by: .seconds(10))
        try file.finishUpload(of: version, as: RemoteObject(key: ObjectKey("a"), etag: ETag("v1"), size: 4)) { _ in
            try fixture.journal.write { transaction in
                var row = try #require(try transaction.inode(file.inode))
                row.remote = RemoteObject(key: ObjectKey("a"), etag: ETag("v1"), size: 4)
                row.attempt = nil
                try transaction.update(row)
            }
        }
        cache.handBack(file, .writing)
        #expect(try isDirty(file) == !isResting)
    }

    @Test func requestsThatChangeAFileGoTogetherWithWhatIsWrittenPastThisProcess() throws {
        let file = try cache.acquire(try fixture.makeFile("a", "text"), forWriting: true)
        try cache.handOver(file, for: .writing)
        try write("more", at: 4, into: file.inode)
        try file.truncate(to: 6)
        #expect(file.status.size == 6)
        try write("!", at: 6, into: file.inode)
        try file.write("T", at: 0)
        #expect(try file.status.size == 7 && file.text() == "Textmo!")
        try file.allocate(7..<100, .reserve(keepsSize: false))
        #expect(file.status.size == 100)
        try file.setModified(Timestamp(seconds: 1000))
        #expect(file.status.modified == Timestamp(seconds: 1000))
        try write("?", at: 100, into: file.inode)
        #expect(file.status.size == 101 && file.status.modified > Timestamp(seconds: 1000))
    }

    @Test func bytesThatAreLostWhileAProgramReadsThemAreNotMadeZeros() throws {
        let file = try cleanFile("a", "text")
        try cache.handOver(file, for: .reading)
        try file.distrust(0..<4, of: ETag("v1"))
        #expect(try file.text() == "text" && !file.isComplete)
        #expect(throws: CacheError.self) { try cache.handOver(file, for: .writing) }
    }

    // MARK: Mappings and orphans

    @Test func aMappingThatOutlivesItsHandleKeepsTheFileOpenForWriting() throws {
        let file = try cache.acquire(try fixture.makeFile("a", "text"))
        try cache.handOver(file, for: .both)
        let mapping = try outsider(file.inode)
        cache.handBack(file, .both)
        cache.release(file)
        #expect(cache.isOpenForWriting(file.inode) && cache.hasWriters(file.inode))
        try mapping.seek(toOffset: 4)
        try mapping.write(contentsOf: Data("more".utf8))
        #expect(cache.status(of: file.inode)?.size == 8)
        let told = Told()
        cache.whenWritersAreGone { told.add($0) }
        try cache.flush()
        #expect(cache.openFile(file.inode) === file)
        try mapping.close()
        try cache.flush()
        #expect(told.numbers == [file.inode] && !cache.isOpenForWriting(file.inode))
        try cache.flush()
        #expect(try cache.openFile(file.inode) == nil && fixture.row(file.inode)?.size == 8)
    }

    @Test func aFileThatMayHaveBeenMappedAndWasNotIsClosedMillisecondsAfterItsHandle() throws {
        let file = try cache.acquire(try fixture.makeFile("a", "text"))
        try cache.handOver(file, for: .both)
        let handle = try outsider(file.inode)
        cache.handBack(file, .both)
        cache.release(file)
        try handle.close()
        #expect(cache.isOpenForWriting(file.inode))
        fixture.time.advance(by: FileCache.closingTime)
        #expect(!cache.isOpenForWriting(file.inode))
    }

    @Test func aProgramThatOutlivedTheFormerProcessOfThisBootIsAWriter() throws {
        let number = try fixture.makeFile("a", "text")
        let (orphan, other) = (Kept(), try fixture.makeFile("b", "text"))
        try fixture.reopen { directory in
            orphan.file = FileHandle(forUpdatingAtPath: directory.path(FileCache.dataName(number)))
        }
        #expect(cache.hasWriters(number) && !cache.hasWriters(other))
        try orphan.file?.seek(toOffset: 4)
        try orphan.file?.write(contentsOf: Data("more".utf8))
        #expect(cache.status(of: number)?.size == 8)
        let file = try cache.acquire(number)
        var isCurrent: Bool?
        try file.finishUpload(of: file.version, as: RemoteObject(key: ObjectKey("a"), etag: ETag("v1"), size: 8)) {
            isCurrent = $0
        }
        #expect(isCurrent == false)
        try orphan.file?.close()
        #expect(!cache.hasWriters(number))
        #expect(file.version.isExact && file.status.size == 8)
    }

    @Test func afterAStartOfTheMachineNobodyIsLookedFor() throws {
        let number = try fixture.makeFile("a", "text")
        try cache.flush()
        fixture.boot = BootIdentity(high: 2, low: 1)
        let kept = Kept()
        try fixture.reopen { directory in
            kept.file = FileHandle(forUpdatingAtPath: directory.path(FileCache.dataName(number)))
        }
        #expect(!cache.hasWriters(number))
    }

    private final class Told: Sendable {
        private let state = Mutex<[InodeNumber]>([])
        func add(_ number: InodeNumber) { state.withLock { $0.append(number) } }
        var numbers: [InodeNumber] { state.withLock { $0 } }
    }

    private final class Kept { var file: FileHandle? }
}

import Platform
import Synchronization
import SystemPackage
import TestKit
import Testing

@testable import Cache

/// A sync that returned has put everything on the disk that was written before, whatever goes on at the same time; one
/// that failed is never made up for by a later one.
@Suite struct SynchronizationTests {
    private let fixture: CacheFixture
    private let disk: WatchedDisk
    private let cache: FileCache
    private let file: CachedFile

    init() throws {
        fixture = try CacheFixture()
        disk = try WatchedDisk(path: fixture.directory.path)
        cache = try fixture.cache(of: fixture.journal, on: disk)
        file = try cache.acquire(fixture.makeFile("file"))
    }

    @Test func aSyncThatIsUnderWayIsNotTakenForDone() throws {
        try file.write("written", at: 0)
        let before = disk.synchronizations
        let seen = AnotherSync()
        disk.duringNextSync { [file, disk] in
            try? file.synchronize()
            seen.count.store(disk.synchronizations, ordering: .releasing)
        }
        try file.synchronize()
        #expect(seen.count.load(ordering: .acquiring) == before + 1, "the second caller returned before any sync")
    }

    @Test func bytesThatCameDuringASyncAreLeftToTheNext() throws {
        try file.write("before ", at: 0)
        disk.duringNextSync { [file] in try? file.write("during", at: 7) }
        try file.synchronize()
        try needsOneMoreSync()
    }

    @Test func bytesThatWereOnTheirWayDuringASyncAreLeftToTheNext() throws {
        _ = try file.write(at: 0, count: 7) { [file] descriptor, offset throws(Errno) in
            do {
                try file.synchronize()
                return try FileDescriptor(rawValue: descriptor).writeAll(toAbsoluteOffset: offset, "written".utf8)
            } catch {
                throw .ioError
            }
        }
        try needsOneMoreSync()
    }

    @Test func unsentBytesThatAFormerProcessWroteAreSynced() throws {
        try file.write("written", at: 0)
        let next = try fixture.cache(of: fixture.journal, on: disk)
        let again = try next.acquire(file.inode)
        let before = disk.synchronizations
        try next.synchronize(again)
        #expect(disk.synchronizations == before + 1)
    }

    @Test func bytesThatAFormerProcessFetchedAreSyncedBeforeTheyCountAsWhole() throws {
        let number = try fixture.makeRemoteFile("fetched", size: 4)
        let file = try cache.acquire(number)
        // What comes as a whole has no range log, and is not there for another process before it is synced.
        try file.fill("te", at: 0)
        try file.fill("xt", at: 2)
        let next = try fixture.cache(of: fixture.journal, on: disk)
        let again = try next.acquire(number)
        for _ in 0..<2 {
            try next.flush()
            #expect(disk.synchronizations(of: FileCache.dataName(number)) == 1)
            #expect(try fixture.row(number)?.local == .complete)
        }
        next.release(again)
    }

    /// Else a power cut could take it away with what was synced since.
    @Test func theNameOfAFileThatAFormerProcessBeganIsSynced() throws {
        let number = try fixture.makeRemoteFile("fetched", size: 8)
        func synchronizations() -> Int { disk.synchronizations(ofDirectory: FileCache.shardName(number)) }
        try cache.acquire(number).fill("abcd", at: 0, of: "v1")
        // It was killed when it had made the range log, and before that told of anything.
        let log = try disk.open(FileCache.rangeLogName(number), .existing)
        try log.truncate(to: 2 * Int64(RangeLogRecord.size))
        let next = try fixture.cache(of: fixture.journal, on: disk)
        let again = try next.acquire(number)
        try again.write("xx", at: 0)
        let before = synchronizations()
        try next.synchronize(again)
        #expect(synchronizations() == before + 1)
        try again.write("yy", at: 0)
        try next.synchronize(again)
        #expect(synchronizations() == before + 1)
    }

    /// Else a power cut could bring its old range log back, which tells of bytes that the new file does not have.
    @Test func theRemovalOfAFileIsDurableBeforeItIsMadeAnew() throws {
        let number = try fixture.makeRemoteFile("fetched", size: 4)
        func synchronizations() -> Int { disk.synchronizations(ofDirectory: FileCache.shardName(number)) }
        for _ in 0..<3 {
            // At first, a former process may have removed it.
            let before = synchronizations()
            let file = try cache.acquire(number)
            #expect(synchronizations() == before + 1)
            try file.fill("text", at: 0)
            cache.release(file)
            try cache.flush()
            try cache.evict(atLeast: 1)
            #expect(try fixture.row(number)?.local == Inode.LocalData.none)
        }
    }

    /// fdatasync of a recorder's file waits for one sync, also while uploads change the journal.
    @Test func aSyncOfBytesAloneSyncsTheJournalOnlyForWhatProgramsWereTold() throws {
        let journal = try Journal(path: fixture.directory.path("watched.db"), name: "watched.db", on: disk)
        let cache = try fixture.cache(of: journal, on: disk)
        func synchronizations() -> Int { disk.synchronizations(of: "watched.db-wal") }
        let file = try cache.acquire(fixture.makeFile("watched", in: journal))
        let first = synchronizations()

        try file.write("one", at: 0)
        try cache.synchronizeBytes(of: file)
        #expect(disk.synchronizations(of: FileCache.dataName(file.inode)) == 1)
        #expect(synchronizations() == first)

        try journal.write(isAcknowledged: true) { try $0.setProperty("told", "yes") }
        try cache.synchronizeBytes(of: file)
        #expect(synchronizations() == first + 1)

        try journal.write { try $0.setProperty("told", "no") }
        try cache.synchronizeBytes(of: file)
        #expect(synchronizations() == first + 1)
        try cache.synchronize(file)
        #expect(synchronizations() == first + 2)
    }

    // MARK: Large files

    private static let mebibyte: Int64 = 1 << 20

    @Test func whatWasAppendedIsBroughtToTheDiskPieceByPieceAheadOfTheSync() throws {
        try file.truncate(to: 10 * Self.mebibyte)
        try cache.synchronize(file)
        #expect(disk.writtenBack == pieces(0, 4))
        try file.truncate(to: 19 * Self.mebibyte)
        try cache.flush()
        #expect(disk.writtenBack == pieces(0, 4, 10, 14))
        #expect(disk.writtenBackBeforeAll.isEmpty)
    }

    @Test func itIsAheadOfASyncOfTheWholeDiskAsWell() throws {
        let files = try (0..<40).map { try cache.acquire(fixture.makeFile("\($0)")) }
        for other in files { try other.write("written", at: 0) }
        try file.truncate(to: 10 * Self.mebibyte)
        try cache.flush()
        #expect(disk.writtenBackBeforeAll == pieces(0, 4))
    }

    @Test func aFileThatIsMostlyAHoleTakesFewPieces() throws {
        try file.truncate(to: 1 << 40)
        try cache.synchronize(file)
        #expect(disk.writtenBack.count <= 1024)
    }

    private func pieces(_ starts: Int64...) -> [Range<Int64>] {
        starts.map { $0 * Self.mebibyte..<($0 + 4) * Self.mebibyte }
    }

    // MARK: Syncs that fail

    /// The kernel tells of it once: the sync itself would say nothing of it.
    @Test func bytesThatCouldNotBeBroughtToTheDiskAheadOfASyncAreLost() throws {
        try file.truncate(to: 10 * Self.mebibyte)
        disk.duringNextSync { () throws(Errno) in throw .ioError }
        expectRefused { try cache.synchronize(file) }
        #expect(disk.writtenBack.isEmpty)
        expectRefusedEverything(of: file)
    }

    @Test func norAheadOfASyncOfTheWholeDisk() throws {
        let files = try (0..<40).map { try cache.acquire(fixture.makeFile("\($0)")) }
        for other in files { try other.write("written", at: 0) }
        try file.truncate(to: 10 * Self.mebibyte)
        disk.duringNextSync { () throws(Errno) in throw .ioError }
        expectRefused { try cache.flush() }
        expectRefusedEverything(of: file)
    }

    @Test func aSyncThatFailedStaysFailedUntilTheFileIsCutToNothing() throws {
        try file.write("written", at: 0)
        disk.duringNextSync { () throws(Errno) in throw .ioError }
        expectRefused { try cache.synchronize(file) }
        expectRefusedEverything(of: file)
        let again = try closedAndOpenedAgain(file)
        expectRefusedEverything(of: again)
        try again.truncate(to: 0)
        try again.write("anew", at: 0)
        try cache.synchronize(again)
        let last = try closedAndOpenedAgain(again)
        try last.write("!", at: 4)
        try cache.synchronize(last)
        #expect(try last.text() == "anew!")
    }

    @Test func whatTheFlushTimerCouldNotSyncIsToldToTheProgram() throws {
        try file.write("written", at: 0)
        disk.duringNextSync { () throws(Errno) in throw .ioError }
        expectRefused { try cache.flush() }
        expectRefusedEverything(of: file)
        expectRefusedEverything(of: try closedAndOpenedAgain(file))
    }

    /// As when the last program closes it and another opens it.
    private func closedAndOpenedAgain(_ file: CachedFile) throws -> CachedFile {
        cache.release(file)
        try cache.closeIdle()
        try #require(cache.openFile(file.inode) == nil)
        return try cache.acquire(file.inode)
    }

    private func expectRefusedEverything(of file: CachedFile) {
        expectRefused { try cache.synchronize(file) }
        expectRefused { try file.write("more", at: 7) }
        expectRefused { try file.truncate(to: 3) }
        expectRefused { try file.allocate(0..<100, .reserve(keepsSize: false)) }
        expectRefused { try cache.synchronize(file) }
    }

    private func expectRefused(_ body: () throws -> Void) {
        #expect {
            try body()
        } throws: { error in
            guard case CacheError.system(.ioError, _) = error else { return false }
            return true
        }
    }

    private func needsOneMoreSync() throws {
        let before = disk.synchronizations
        try file.synchronize()
        #expect(disk.synchronizations == before + 1)
        try file.synchronize()
        #expect(disk.synchronizations == before + 1, "nothing was written since")
    }
}

private final class AnotherSync: Sendable {
    let count = Atomic(0)
}

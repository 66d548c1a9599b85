import Cache
import Logging
import Platform
import Synchronization
import SystemPackage
import TestKit
import Testing

/// A sync that returned has put everything on the disk that was written before, whatever goes on at the same time.
@Suite struct SynchronizationTests {
    private let fixture: CacheFixture
    private let disk: WatchedDisk
    private let cache: FileCache
    private let file: CachedFile

    init() throws {
        fixture = try CacheFixture()
        disk = try WatchedDisk(path: fixture.directory.path)
        cache = try FileCache(
            journal: fixture.journal, disk: disk, limits: fixture.limits, time: fixture.time, boot: fixture.boot,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
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
        let next = try FileCache(
            journal: fixture.journal, disk: disk, limits: fixture.limits, time: fixture.time, boot: fixture.boot,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        let again = try next.acquire(file.inode)
        let before = disk.synchronizations
        try next.synchronize(again)
        #expect(disk.synchronizations == before + 1)
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

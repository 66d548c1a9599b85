import Foundation
import ObjectStore
import Platform
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import Cache

/// Bits that the disk flips in what is as in the bucket, and bytes that it cannot read any more.
@Suite struct DamagedBytesTests {
    private let fixture: CacheFixture
    private let block = BlockChecksums.blockSize
    /// Two blocks and a bit.
    private let text: String
    private var size: Int64 { Int64(text.utf8.count) }

    init() throws {
        fixture = try CacheFixture()
        text = (0..<100_000).map { "\($0)," }.joined().prefix(2 * Int(BlockChecksums.blockSize) + 1000).description
    }

    // MARK: Flipped bits

    @Test(arguments: [false, true])
    func aBlockWithAFlippedBitIsMissingFromThenOnAndToldOf(powerIsCut: Bool) throws {
        let number = try fixture.makeCleanFile("a", text)
        try fixture.reopen { try flip(number, at: 300_000, in: $0) }
        let file = try fixture.cache.acquire(number)
        try file.verify(0..<10)
        #expect(file.isComplete, "another block than the one that is read was looked at")
        try file.verify(299_000..<301_000)
        #expect(file.missing(in: 0..<size) == [block..<2 * block])
        #expect(try errors().map(\.path) == ["a"])

        if powerIsCut { fixture.boot = BootIdentity(high: 2, low: 2) }
        try fixture.reopen()
        #expect(try fixture.cache.acquire(number).missing(in: 0..<size) == [block..<2 * block])
    }

    @Test func whatWasFetchedAgainIsAsBefore() throws {
        let number = try fixture.makeCleanFile("a", text)
        try fixture.reopen { try flip(number, at: 300_000, in: $0) }
        let file = try fixture.cache.acquire(number)
        try file.verify(0..<size)
        try file.fill(text, at: 0)
        #expect(file.missing(in: 0..<size).isEmpty)
        #expect(try file.text() == text)
        try fixture.cache.flush()
        #expect(try fixture.row(number)?.local == .complete)
        try expectSound(number)
    }

    @Test func aFlippedBitOfAFileThatIsPartlyLocalIsFound() throws {
        let number = try fixture.makeRemoteFile("a", size: size)
        let file = try fixture.cache.acquire(number)
        let first = String(text.prefix(Int(block)))
        // In two steps, the second one first.
        try file.fill(String(first.dropFirst(1000)), at: 1000)
        try file.fill(String(first.prefix(1000)), at: 0)
        try file.fill("\(text.dropFirst(300_000).prefix(10))", at: 300_000)
        fixture.cache.release(file)
        try fixture.cache.flush()
        try fixture.reopen {
            try flip(number, at: 7, in: $0)
            try flip(number, at: 300_003, in: $0)
        }
        let again = try fixture.cache.acquire(number)
        try again.verify(0..<size)
        #expect(again.missing(in: 0..<size) == [0..<300_000, 300_010..<size])
    }

    @Test func aWrongChecksumCostsOneFetch() throws {
        let number = try fixture.makeCleanFile("a", text)
        try fixture.journal.write { try $0.setChecksums(of: number, [(0, [1, 0, 0, 0, 0, 0, 0, 0])]) }
        try fixture.reopen()
        let file = try fixture.cache.acquire(number)
        try file.verify(0..<size)
        #expect(file.missing(in: 0..<size) == [0..<block])
        try file.fill(text, at: 0)
        try file.verify(0..<size)
        #expect(file.missing(in: 0..<size).isEmpty)
        try fixture.cache.flush()
        try expectSound(number)
    }

    @Test func whatHasNoChecksumGetsOneWhenItIsRead() throws {
        let number = try fixture.makeCleanFile("a", text)
        try fixture.journal.write { try $0.execute("DELETE FROM checksum") }
        try fixture.reopen()
        let file = try fixture.cache.acquire(number)
        try file.verify(0..<size)
        try fixture.cache.flush()
        try fixture.reopen { try flip(number, at: 3, in: $0) }
        let again = try fixture.cache.acquire(number)
        try again.verify(0..<size)
        #expect(again.missing(in: 0..<size) == [0..<block])
    }

    // MARK: Changes

    enum Change: CaseIterable {
        case write, append, writeBehindTheEnd, cut, extend, punch
    }

    @Test(arguments: Change.allCases, [false, true])
    func whatAProgramChangedNeverLooksDamaged(_ change: Change, powerIsCut: Bool) throws {
        let number = try fixture.makeCleanFile("a", text)
        let file = try fixture.cache.acquire(number, forWriting: true)
        try file.verify(0..<size)
        try make(change, in: file)
        if powerIsCut {
            try fixture.cache.flush()
            fixture.boot = BootIdentity(high: 2, low: 2)
        }
        let expected = try file.text()
        try fixture.reopen()
        // As if it had reached the bucket.
        let dirty = try fixture.cache.acquire(number)
        try upload(dirty)
        try dirty.verify(0..<dirty.status.size)
        #expect(dirty.isComplete)
        #expect(try dirty.text() == expected)
        #expect(try errors().isEmpty)
    }

    @Test(arguments: Change.allCases, [false, true])
    func aChangeWhileAFileIsSentLeavesNoChecksumOfWhatWas(_ change: Change, isAfterReading: Bool) throws {
        let number = try fixture.makeFile("a")
        let file = try fixture.cache.acquire(number)
        try file.write(text, at: 0)
        let (read, rewrites) = try read(file, 0..<size)
        if isAfterReading { file.learnChecksums(read, since: rewrites) }
        try make(change, in: file)
        if !isAfterReading { file.learnChecksums(read, since: rewrites) }
        try settle(file)
        try fixture.cache.flush()
        try expectSound(number)
    }

    @Test func aFlippedBitOfWhatWasSentIsFound() throws {
        let number = try fixture.makeFile("a")
        let file = try fixture.cache.acquire(number)
        try file.write(text, at: 0)
        try upload(file)
        try fixture.cache.flush()
        try fixture.reopen { try flip(number, at: Int(size) - 1, in: $0) }
        let again = try fixture.cache.acquire(number)
        try again.verify(0..<size)
        #expect(again.missing(in: 0..<size) == [2 * block..<size])
    }

    @Test func checksumsGoWithTheBytes() throws {
        let (evicted, deleted) = (try fixture.makeCleanFile("a", text), try fixture.makeCleanFile("b", text))
        let stored = { (number: InodeNumber) in try fixture.journal.read { try $0.checksums(of: number, page: 0) } }
        #expect(try stored(evicted).count == 24)
        try fixture.cache.evict(atLeast: .max)
        #expect(try stored(evicted).isEmpty)
        try fixture.journal.write { try $0.deleteInode(deleted) }
        #expect(try stored(deleted).isEmpty)
    }

    // MARK: What cannot be read

    @Test func whatCameInWholeBlocksHasItsChecksumsWithoutALookAtTheDisk() throws {
        let cache = try fixture.cache(
            of: fixture.journal, on: WriteOnlyDisk(PosixDisk(path: fixture.directory.path)))
        let number = try fixture.makeRemoteFile("a", size: size)
        let file = try cache.acquire(number)
        try file.fill(String(text.dropFirst(Int(block))), at: block)
        try file.fill(String(text.prefix(Int(block))), at: 0)
        try cache.flush()
        cache.release(file)
        let stored = try fixture.journal.read { try $0.checksums(of: number, page: 0) }
        #expect(BlockChecksums.checksums(in: stored).count { $0 != 0 } == 3)
        try expectSound(number)
    }

    @Test(arguments: [true, false])
    func whatTheDiskCannotReadIsFetchedAgain(isComplete: Bool) throws {
        let disk = UnreadableDisk(try PosixDisk(path: fixture.directory.path))
        let cache = try fixture.cache(of: fixture.journal, on: disk)
        let number = try fixture.makeRemoteFile("a", size: size)
        let file = try cache.acquire(number)
        if isComplete { try file.fill(text, at: 0) } else { try file.fill(String(text.prefix(5000)), at: 0) }
        try cache.flush()
        cache.release(file)
        disk.damage(4096..<8192, of: FileCache.dataName(number))

        let again = try cache.acquire(number)
        try again.verify(0..<10)
        #expect(again.missing(in: 0..<size) == [0..<(isComplete ? block : size)])
        try again.fill(text, at: 0)
        try again.verify(0..<size)
        #expect(again.missing(in: 0..<size).isEmpty)
        #expect(try again.text() == text)
        #expect(try errors().map(\.path) == ["a"])
    }

    // MARK: Examination

    @Test func anExaminationTellsOfFlippedBits() throws {
        let number = try fixture.makeCleanFile("a", text)
        _ = try fixture.makeCleanFile("b", text)
        #expect(try examine().isEmpty)
        try flip(number, at: 300_000, in: fixture.directory)
        let found = try examine()
        #expect(found.map(\.place) == ["a"])
        #expect(found.allSatisfy { $0.text.contains("\(block) of its local bytes") })
    }

    private func examine() throws -> [StateReport.Finding] {
        try fixture.copyForExamination { try StateExamination(path: $0, boot: fixture.boot).report.damage }
    }

    // MARK: Helpers

    private func make(_ change: Change, in file: CachedFile) throws {
        switch change {
        case .write: try file.write("written", at: 300_000)
        case .append: try file.write("appended", at: size)
        case .writeBehindTheEnd: try file.write("written", at: size + 1_000_000)
        case .cut: try file.truncate(to: 300_000)
        case .extend: try file.truncate(to: size + 300_000)
        case .punch: try file.allocate(1000..<300_000, .punchHole)
        }
    }

    /// What an upload reads of a file.
    private func read(_ file: CachedFile, _ range: Range<Int64>) throws -> (FingerprintMaker, rewrites: UInt64) {
        let maker = FingerprintMaker(from: range.lowerBound)
        let rewrites = file.version.rewrites
        for start in stride(from: range.lowerBound, to: range.upperBound, by: 100_000) {
            var bytes = [UInt8](repeating: 0, count: Int(min(100_000, range.upperBound - start)))
            try bytes.withUnsafeMutableBytes { buffer in
                let count = try file.read(into: buffer, at: start)
                #expect(count == buffer.count)
                maker.update(UnsafeRawBufferPointer(buffer))
            }
        }
        _ = maker.finish()
        return (maker, rewrites)
    }

    /// What an upload does that ends well.
    private func upload(_ file: CachedFile) throws {
        let (read, rewrites) = try read(file, 0..<file.version.size)
        file.learnChecksums(read, since: rewrites)
        try settle(file)
    }

    private func settle(_ file: CachedFile) throws {
        let version = file.version
        let object = RemoteObject(key: ObjectKey("a"), etag: ETag("v2"), size: version.size)
        try file.finishUpload(of: version, as: object) { _ in
            try fixture.journal.write { transaction in
                guard var row = try transaction.inode(file.inode) else { return }
                row.remote = object
                row.pending = []
                row.size = version.size
                row.local = .complete
                try transaction.update(row)
            }
        }
    }

    /// The next process finds no damage.
    private func expectSound(_ number: InodeNumber) throws {
        let told = try errors().count
        try fixture.reopen()
        let file = try fixture.cache.acquire(number)
        try file.verify(0..<file.status.size)
        #expect(file.isComplete)
        #expect(try errors().count == told)
    }

    private func flip(_ number: InodeNumber, at offset: Int, in directory: TemporaryDirectory) throws {
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: directory.path(FileCache.dataName(number))))
        try handle.seek(toOffset: UInt64(offset))
        guard let byte = try handle.read(upToCount: 1)?.first else { throw Errno.ioError }
        try handle.seek(toOffset: UInt64(offset))
        try handle.write(contentsOf: [byte ^ 0x10])
        try handle.close()
    }

    private func errors() throws -> [JournalEvent] { try fixture.journal.read { try $0.events(.error) } }
}

/// No byte of its files can be read.
private final class WriteOnlyDisk: ForwardingDisk {
    let base: any Disk

    init(_ base: any Disk) { self.base = base }

    func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile {
        WriteOnlyFile(try base.open(name, mode))
    }
}

private final class WriteOnlyFile: ForwardingFile {
    let base: any DiskFile

    init(_ base: any DiskFile) { self.base = base }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(Errno) -> Int { throw .ioError }
}

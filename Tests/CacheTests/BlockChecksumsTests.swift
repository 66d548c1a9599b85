import Testing

@testable import Cache

@Suite struct BlockChecksumsTests {
    private let size = BlockChecksums.blockSize
    private var checksums = BlockChecksums(isStored: true)

    @Test func aRangeTouchesTheBlocksThatItHasBytesIn() {
        #expect(BlockChecksums.blocks(in: 0..<1) == 0..<1)
        #expect(BlockChecksums.blocks(in: 0..<size) == 0..<1)
        #expect(BlockChecksums.blocks(in: size - 1..<size + 1) == 0..<2)
        #expect(BlockChecksums.blocks(in: 5 * size..<5 * size).isEmpty)
    }

    @Test func theLastBlockEndsWithTheFile() {
        #expect(BlockChecksums.bytes(of: 0, size: 10) == 0..<10)
        #expect(BlockChecksums.bytes(of: 1, size: size + 10) == size..<size + 10)
        #expect(BlockChecksums.bytes(of: 1, size: size).isEmpty)
    }

    @Test mutating func whatWasLearnedIsSavedAndLoadedPageByPage() {
        let far = BlockChecksums.pageLength + 3
        checksums.learn(7, of: 1)
        checksums.learn(UInt64.max - 1, of: far)
        let saved = checksums.takeUnsaved()
        #expect(saved.map(\.page) == [0, 1])
        #expect(saved.map(\.bytes.count) == [16, 32])
        #expect(!checksums.isUnsaved)

        var loaded = BlockChecksums(isStored: true)
        #expect(loaded.missingPages(of: 1..<far + 1) == [0, 1])
        for (page, bytes) in saved { loaded.load(page, bytes) }
        #expect(loaded.missingPages(of: 1..<far + 1).isEmpty)
        #expect(loaded.checksum(of: 0) == nil && loaded.checksum(of: 1) == 7 && loaded.checksum(of: 2) == nil)
        #expect(loaded.checksum(of: far) == UInt64.max - 1)
        #expect(!loaded.areChecked(1..<2) && !loaded.isUnsaved)
    }

    @Test mutating func whatIsLearnedAgainIsCheckedAndNeedsNoSaving() {
        checksums.load(0, [7, 0, 0, 0, 0, 0, 0, 0])
        checksums.learn(7, of: 0)
        #expect(checksums.areChecked(0..<1) && !checksums.isUnsaved)
        checksums.learn(8, of: 0)
        #expect(checksums.checksum(of: 0) == 8 && checksums.isUnsaved)
    }

    @Test mutating func aChangeForgetsTheBlocksThatItTouchesAndNoOther() {
        for block in [0, 1, 2, 3, 600] { checksums.learn(UInt64(block + 1), of: Int64(block)) }
        checksums.forget(size * 2 - 1..<size * 2 + 1)
        #expect((0..<4).map { checksums.checksum(of: $0) } == [1, nil, nil, 4])
        #expect(!checksums.areChecked(1..<2) && checksums.areChecked(3..<4))
        checksums.forget(size * 3..<Int64.max)
        #expect(checksums.checksum(of: 3) == nil && checksums.checksum(of: 600) == nil)
        #expect(checksums.checksum(of: 0) == 1)
    }

    @Test mutating func aDamagedPageSaysLessAndNothingElse() {
        checksums.load(0, [7, 0, 0, 0, 0, 0, 0, 0, 1, 2])
        #expect(checksums.checksum(of: 0) == 7 && checksums.checksum(of: 1) == nil)
        checksums.load(1, [UInt8](repeating: 1, count: 100_000))
        #expect(checksums.checksum(of: 2 * BlockChecksums.pageLength) == nil)
    }

    @Test func ofWhatIsNotStoredNothingIsLoaded() {
        #expect(BlockChecksums(isStored: false).missingPages(of: 0..<5).isEmpty)
    }
}

import Cache
import TestKit
import Testing

@testable import FileSystem

@Suite struct ReferenceCountsTests {
    private func inode(_ number: UInt64) -> InodeNumber { InodeNumber(rawValue: number) }

    @Test(arguments: 1...8 as ClosedRange<UInt64>) func eachCountIsWhatWasAddedAndTakenAway(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var counts = ReferenceCounts()
        var expected: [InodeNumber: UInt64] = [:]
        for _ in 0..<20_000 {
            let number = UInt64.random(in: 1...100, using: &random)
            let inode = inode(Bool.random(using: &random) ? number : number << 40)
            let known = expected[inode] ?? 0
            // What does not fit into 16 bits as well.
            let change = UInt64.random(in: 0...1 << 40, using: &random) >> UInt64.random(in: 0...40, using: &random)
            expected[inode] = Bool.random(using: &random) ? known + change : known - min(known, change)
            counts[inode] = expected[inode] ?? 0
            #expect(counts[inode] == expected[inode])
        }
        for (inode, count) in expected { #expect(counts[inode] == count) }
    }

    @Test func aMillionNeighboursTakeFewMegabytesAndNothingWhenTheyAreForgotten() {
        var counts = ReferenceCounts()
        for number in 1...1_000_000 as ClosedRange<UInt64> { counts[inode(number)] += 1 }
        let size = counts.groups.capacity * (MemoryLayout<UInt64>.size + MemoryLayout<ReferenceCounts.Group>.size)
        #expect(size < 8 << 20)
        for number in 1...1_000_000 as ClosedRange<UInt64> { counts[inode(number)] -= 1 }
        #expect(counts.groups.capacity == 0)
    }
}

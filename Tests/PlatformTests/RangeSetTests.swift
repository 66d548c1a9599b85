import Platform
import TestKit
import Testing

@Suite struct RangeSetTests {
    @Test func rangesThatTouchOrOverlapBecomeOne() {
        #expect(RangeSet([0..<4, 4..<8]).ranges == [0..<8])
        #expect(RangeSet([4..<8, 0..<4]).ranges == [0..<8])
        #expect(RangeSet([0..<4, 6..<8, 2..<7]).ranges == [0..<8])
        #expect(RangeSet([0..<2, 4..<6, 8..<10, 1..<9]).ranges == [0..<10])
        #expect(RangeSet([2..<3, 0..<9]).ranges == [0..<9])
    }

    @Test func rangesApartStayApartAndSorted() {
        #expect(RangeSet([8..<9, 0..<1, 4..<5]).ranges == [0..<1, 4..<5, 8..<9])
    }

    @Test func anEmptyRangeChangesNothing() {
        var set = RangeSet(3..<5)
        set.insert(9..<9)
        set.remove(4..<4)
        #expect(set.ranges == [3..<5])
        #expect(set.contains(7..<7))
        #expect(set.gaps(in: 7..<7).isEmpty)
    }

    @Test func removalSplitsTrimsAndDrops() {
        var set = RangeSet(0..<10)
        set.remove(4..<6)
        #expect(set.ranges == [0..<4, 6..<10])
        set.remove(3..<7)
        #expect(set.ranges == [0..<3, 7..<10])
        set.remove(0..<8)
        #expect(set.ranges == [8..<10])
        set.remove(0..<100)
        #expect(set.isEmpty)
        #expect(set.bounds == nil)
    }

    @Test func gapsAndIntersectionSplitARange() {
        let set = RangeSet([2..<4, 6..<8])
        #expect(set.gaps(in: 0..<10) == [0..<2, 4..<6, 8..<10])
        #expect(set.gaps(in: 2..<4).isEmpty)
        #expect(set.gaps(in: 3..<7) == [4..<6])
        #expect(set.intersection(3..<7) == [3..<4, 6..<7])
        #expect(set.intersection(4..<6).isEmpty)
        #expect(set.intersection(RangeSet([0..<3, 7..<9])).ranges == [2..<3, 7..<8])
    }

    @Test func membershipAtTheEdges() {
        let set = RangeSet([2..<4, 4..<5, 7..<8])
        #expect(!set.contains(1) && set.contains(2) && set.contains(4) && !set.contains(5))
        #expect(set.contains(2..<5) && !set.contains(2..<6) && !set.contains(1..<3))
        #expect(set.intersects(4..<6) && !set.intersects(5..<7))
        #expect(RangeSet(0..<Int64.max).contains(0..<Int64.max))
        #expect(!RangeSet(0..<Int64.max).contains(Int64.max))
    }

    /// Against the plainest model there is: one boolean a position.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func randomHistoriesMatchAnArrayOfBooleans(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var set = RangeSet()
        var model = [Bool](repeating: false, count: 64)
        for _ in 0..<400 {
            let start = Int64.random(in: 0..<64, using: &random)
            let range = start..<Int64.random(in: start...64, using: &random)
            let inserts = Bool.random(using: &random)
            if inserts { set.insert(range) } else { set.remove(range) }
            for position in range { model[Int(position)] = inserts }

            #expect(set == RangeSet(model.indices.filter { model[$0] }.map { Int64($0)..<Int64($0) + 1 }))
            #expect(set.count == Int64(model.count { $0 }))
            let probe = Int64.random(in: 0..<32, using: &random)..<Int64.random(in: 32...64, using: &random)
            #expect(set.contains(probe) == probe.allSatisfy { model[Int($0)] })
            let covered = RangeSet(set.intersection(probe))
            let uncovered = RangeSet(set.gaps(in: probe))
            #expect(probe.allSatisfy { covered.contains($0) == model[Int($0)] })
            #expect(probe.allSatisfy { uncovered.contains($0) != model[Int($0)] })
            #expect(zip(set.ranges, set.ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
        }
    }
}

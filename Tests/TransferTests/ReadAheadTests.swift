import TestKit
import Testing

@testable import Transfer

@Suite struct ReadAheadTests {
    private let mebibyte: Int64 = 1 << 20

    @Test func theFirstReadAtTheStartBringsTheFirstWindow() {
        var readAhead = ReadAhead()
        #expect(readAhead.observe(0..<4096) == 0..<2 * mebibyte)
    }

    /// Where the window ends with each of `count` reads of a mebibyte, one behind the other.
    private func ends(_ count: Int64, bytesPerSecond: Double) -> [Int64] {
        var readAhead = ReadAhead()
        return (0..<count).map { index in
            readAhead.observe(index * mebibyte..<(index + 1) * mebibyte, bytesPerSecond: bytesPerSecond).upperBound
        }
    }

    @Test func theWindowOfASequentialReaderGrowsToItsMaximum() {
        let ends = ends(200, bytesPerSecond: 1e9)
        #expect(ends == ends.sorted())
        let ahead = zip(ends, Int64(1)...).map { $0 - $1 * mebibyte }
        #expect(ahead.suffix(100).allSatisfy { (32 * mebibyte...72 * mebibyte).contains($0) })
        // Few steps, each worth a request.
        #expect(Set(ends.suffix(100)).count <= 4)
    }

    @Test func theWindowIsNoLargerThanWhatTheLinkBringsInSomeSeconds() {
        for (bytesPerSecond, largest) in [(0.0, 16), (2.5e6, 16 + 2), (6e6, 24 + 8)] {
            let ahead = zip(ends(200, bytesPerSecond: bytesPerSecond), Int64(1)...).map { $0 - $1 * mebibyte }
            #expect(ahead.suffix(100).allSatisfy { (4 * mebibyte...Int64(largest) * mebibyte).contains($0) })
        }
    }

    @Test func aReaderThatJumpsGetsWhatItReadsFirstAndLessWithEachJump() {
        var readAhead = ReadAhead()
        let start = 100 * mebibyte + 5000
        let page = 100 * mebibyte + 4096
        #expect(readAhead.observe(start..<start + 100) == page..<page + (128 << 10))
        var lengths: [Int64] = []
        for index in Int64(1)..<8 {
            let wanted = readAhead.observe(index * 10 * mebibyte..<index * 10 * mebibyte + 4096)
            #expect(wanted.lowerBound == index * 10 * mebibyte)
            lengths.append(wanted.length)
        }
        #expect(lengths.map { $0 / 1024 } == [64, 32, 16, 16, 16, 16, 16])
        #expect(readAhead.hasJumped)
    }

    @Test func smallRandomReadsInASmallFileAreNotTakenForSequentialOnes() {
        var readAhead = ReadAhead()
        var random = SeededRandom(seed: 1)
        var wanted: Int64 = 0
        for _ in 0..<500 {
            let page = Int64.random(in: 0..<8192, using: &random) * 4096
            wanted += readAhead.observe(page..<page + 4096).length
        }
        #expect(wanted < 500 * (64 << 10))
    }

    @Test func whoGoesOnAfterAJumpIsReadAheadOfAgain() {
        var readAhead = ReadAhead()
        let start = 500 * mebibyte
        _ = readAhead.observe(start..<start + 131_072)
        var ends: [Int64] = []
        for index in Int64(1)...64 {
            ends.append(readAhead.observe(start + index * 131_072..<start + (index + 1) * 131_072).upperBound)
        }
        #expect(!readAhead.hasJumped)
        #expect(ends[63] >= start + 65 * 131_072 + 4 * mebibyte)
    }

    @Test func threadsThatShareAHandleEachHaveAWindow() {
        var readAhead = ReadAhead()
        var ahead: Int64 = .max
        for index in Int64(0)..<64 {
            for thread in Int64(0)..<4 {
                let start = thread * 1000 * mebibyte + index * mebibyte
                let wanted = readAhead.observe(start..<start + mebibyte)
                if index > 16 { ahead = min(ahead, wanted.upperBound - start - mebibyte) }
            }
        }
        #expect(ahead >= 4 * mebibyte)
    }

    @Test func whatIsAskedForIsAlwaysInWhatIsWanted() {
        var readAhead = ReadAhead()
        for start in [0, 5, 900 * mebibyte, 900 * mebibyte + 4096, 3, 899 * mebibyte] {
            let range = start..<start + 4097
            let wanted = readAhead.observe(range)
            #expect(wanted.lowerBound <= range.lowerBound && wanted.upperBound >= range.upperBound)
        }
    }

    @Test func readsThatTheKernelReordersStaySequential() {
        var readAhead = ReadAhead()
        let order: [Int64] = [0, 2, 1, 3, 5, 4, 6, 7]
        for index in order { _ = readAhead.observe(index * 131_072..<(index + 1) * 131_072) }
        #expect(readAhead.observe(mebibyte..<mebibyte + 1).upperBound >= 2 * mebibyte)
    }
}

@Suite struct FetchPlanTests {
    @Test func whatIsUnderWayIsNotAskedForAgain() {
        var plan = FetchPlan()
        #expect(plan.begin(missing: [0..<100]) == [0..<100])
        #expect(plan.begin(missing: [50..<200]) == [100..<200])
        #expect(plan.begin(missing: [0..<200]).isEmpty)
        plan.end(0..<100)
        #expect(plan.begin(missing: [0..<200]) == [0..<100])
    }

    @Test func largeRangesAreCutAtMultiplesOfTheChunk() {
        var plan = FetchPlan()
        let chunk = FetchPlan.chunkSize
        #expect(plan.begin(missing: [5..<2 * chunk + 1]) == [5..<chunk, chunk..<2 * chunk, 2 * chunk..<2 * chunk + 1])
    }

    @Test func smallHolesAreFetchedWithTheirNeighbours() {
        var plan = FetchPlan()
        #expect(plan.begin(missing: [0..<10, 1000..<1010]) == [0..<1010])
        var other = FetchPlan()
        #expect(other.begin(missing: [0..<10, 1 << 20..<(1 << 20) + 10]).count == 2)
    }
}

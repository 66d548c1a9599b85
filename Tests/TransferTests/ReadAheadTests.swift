import Testing

@testable import Transfer

@Suite struct ReadAheadTests {
    private let mebibyte: Int64 = 1 << 20

    @Test func theFirstReadAtTheStartBringsTheFirstWindow() {
        var readAhead = ReadAhead()
        #expect(readAhead.observe(0..<4096) == 0..<2 * mebibyte)
    }

    @Test func theWindowOfASequentialReaderGrowsToItsMaximum() {
        var readAhead = ReadAhead()
        var ends: [Int64] = []
        for index in 0..<Int64(200) {
            let range = index * mebibyte..<(index + 1) * mebibyte
            ends.append(readAhead.observe(range).upperBound)
        }
        #expect(ends == ends.sorted())
        let ahead = zip(ends, Int64(1)...).map { $0 - $1 * mebibyte }
        #expect(ahead.suffix(100).allSatisfy { (32 * mebibyte...72 * mebibyte).contains($0) })
        // Few steps, each worth a request.
        #expect(Set(ends.suffix(100)).count <= 4)
    }

    @Test func aRandomReaderGetsTheBlocksAroundWhatItReads() {
        var readAhead = ReadAhead()
        let start = 100 * mebibyte + 5000
        #expect(readAhead.observe(start..<start + 100) == 100 * mebibyte..<100 * mebibyte + (128 << 10))
        #expect(readAhead.observe(7..<8).contains(7))
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

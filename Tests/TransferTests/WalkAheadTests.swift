import Cache
import Testing

@testable import Transfer

/// Which directories are listed ahead of a program that opens others.
@Suite struct WalkAheadTests {
    /// A directory with 1,000 others, numbered in the order of their names; its own number is 0.
    private struct Reader {
        static let top = InodeNumber(rawValue: 1)
        static let count = 1000

        var walk = WalkAhead()
        var listed: Set<Int> = []

        init() { _ = walk.opened(Self.top, at: nil, .fresh) }

        static func number(_ index: Int) -> InodeNumber { InodeNumber(rawValue: UInt64(1000 + index)) }

        static func name(_ index: Int) -> FileName {
            guard let name = FileName(String(100_000 + index)) else { preconditionFailure("digits are a name") }
            return name
        }

        /// Returns what is listed ahead, and takes it for listed.
        mutating func open(_ index: Int, isStale: Bool = false) -> [Int] {
            let knowledge: WalkAhead.Knowledge = !listed.contains(index) ? .unlisted : isStale ? .stale : .fresh
            listed.insert(index)
            let step = walk.opened(Self.number(index), at: (Self.top, Self.name(index)), knowledge)
            guard let step else { return [] }
            return find(step)
        }

        mutating func find(_ step: WalkAhead.Step) -> [Int] {
            let behind = (0..<Self.count).filter { Self.name($0) > step.name && !listed.contains($0) }
            let next = behind.prefix(step.count).map { (Self.name($0), Self.number($0)) }
            let ahead = walk.found(next, for: step).map { Int($0.rawValue) - 1000 }
            listed.formUnion(ahead)
            return ahead
        }
    }

    @Test func whoOpensADirectoryInOneThatNobodyReadIsLeftAlone() {
        var walk = WalkAhead()
        for index in 0..<10 {
            let step = walk.opened(Reader.number(index), at: (Reader.top, Reader.name(index)), .unlisted)
            #expect(step == nil)
        }
    }

    @Test func eachDirectoryThatIsOpenedInTurnDoublesHowManyAreListedAhead() {
        var reader = Reader()
        let ahead = (0..<6).map { reader.open($0) }
        #expect(ahead == [[1], [2, 3], [4, 5, 6], Array(7...11), Array(12...20), Array(21...37)])
        for index in 6..<Reader.count {
            #expect(reader.open(index).allSatisfy { $0 <= index + OrderedWalk.maximumWindow })
        }
        #expect(reader.listed.count == Reader.count)
    }

    @Test func whoJumpsAboutHasOneDirectoryListedInVain() {
        var reader = Reader()
        #expect(reader.open(100) == [101])
        for index in [200, 50, 300, 250, 400, 402, 500] { #expect(reader.open(index) == []) }
    }

    @Test func whoPassesOneOverIsBelievedAgainWhenHeOpensTwoInARow() {
        var reader = Reader()
        for index in 0..<6 { _ = reader.open(index) }
        #expect(reader.open(500) == [])
        #expect(reader.open(501) == [502])
        #expect(reader.open(502) == [503, 504])
    }

    @Test func theOrderWithinWhatWasListedAheadIsOfNoConcern() {
        var reader = Reader()
        for index in [0, 1, 3, 2, 6, 4, 5] { _ = reader.open(index) }
        #expect(reader.listed.isSuperset(of: 0...37))
    }

    @Test func whatIsListedAlreadyIsPassedBy() {
        var reader = Reader()
        reader.listed = Set(0..<500)
        for index in 0..<500 { #expect(reader.open(index) == []) }
        #expect(reader.open(500) == [501])
    }

    @Test func aReaderWhoIsSoSlowThatWhatIsListedGetsStaleHasLessListed() {
        var reader = Reader()
        for index in 0..<10 { _ = reader.open(index) }
        var ahead = 0
        for index in 10..<200 { ahead += reader.open(index, isStale: true).count }
        #expect(ahead <= 100)
    }

    @Test func nothingIsLookedForTwiceAtATimeNorBehindTheEnd() throws {
        var reader = Reader()
        func open(_ index: Int) -> WalkAhead.Step? {
            reader.walk.opened(Reader.number(index), at: (Reader.top, Reader.name(index)), .fresh)
        }
        for index in 0..<2 { _ = reader.open(index) }
        let step = try #require(open(2))
        #expect(open(3) == nil)
        #expect(reader.find(step) == [4, 5, 6])
        for index in 4..<990 { _ = reader.open(index) }
        for index in 990..<Reader.count { #expect(open(index) == nil) }
    }

    @Test func theWalkOfADirectoryBeginsAsThatOfTheOneBeforeItWent() {
        var reader = Reader()
        func inside(_ index: Int, _ child: Int) -> WalkAhead.Step? {
            let number = InodeNumber(rawValue: UInt64(100_000 + index * 100 + child))
            guard let step = reader.walk.opened(number, at: (Reader.number(index), Reader.name(child)), .unlisted)
            else { return nil }
            let next = (child + 1..<min(10, child + 1 + step.count)).map {
                (Reader.name($0), InodeNumber(rawValue: UInt64(100_000 + index * 100 + $0)))
            }
            _ = reader.walk.found(next, for: step)
            return step
        }
        _ = reader.open(0)
        #expect(inside(0, 0)?.count == 1)
        for child in 1..<10 { _ = inside(0, child) }
        _ = reader.open(1)
        #expect(inside(1, 0)?.count == 10)
        // There only the first one was opened.
        _ = reader.open(2)
        #expect(inside(2, 0)?.count == 1)
    }

    @Test func whatIsRememberedIsBounded() {
        var reader = Reader()
        var most = 0
        for index in 0..<10_000 {
            _ = reader.walk.opened(Reader.number(index), at: (Reader.top, Reader.name(index)), .fresh)
            most = max(most, reader.walk.count)
        }
        #expect(most == WalkAhead.memoryLimit)
        #expect(reader.open(0) == [1], "the directory above is remembered")
    }
}

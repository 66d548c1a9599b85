import Platform
import Testing

@testable import Cache

/// What is remembered of a file that is changed.
@Suite struct ChangedRangesTests {
    @Test func whatWasNotChangedIsKnown() {
        var changed = ChangedRanges.none
        #expect(!changed.mayHaveChanged(0..<100))
        changed.add(10..<20)
        changed.add(50..<Int64.max)
        #expect(!changed.mayHaveChanged(0..<10) && !changed.mayHaveChanged(20..<50))
        #expect(changed.mayHaveChanged(19..<20) && changed.mayHaveChanged(1000..<1001))
    }

    @Test func whatIsNotKnownMayBeAnything() {
        var changed = ChangedRanges.unknown
        changed.add(10..<20)
        #expect(changed.mayHaveChanged(0..<1))
    }

    @Test func memoryIsBounded() {
        var changed = ChangedRanges.none
        for index in 0..<2000 as Range<Int64> { changed.add(index * 10..<index * 10 + 1) }
        #expect(changed.mayHaveChanged(5..<6))
    }
}

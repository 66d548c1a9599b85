import Cache
import TestKit
import Testing

@testable import Transfer

@Suite struct DirectoryAgesTests {
    private func directory(_ number: Int) -> InodeNumber { InodeNumber(rawValue: UInt64(number)) }

    @Test(arguments: 1...8 as ClosedRange<UInt64>) func packedItIsWhatItWasWhateverHappens(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var ages = DirectoryAges()
        var whole: [InodeNumber: DirectoryFreshness] = [:]
        for second in 1...5_000 {
            let directory = directory(.random(in: 1...20, using: &random))
            let now = Duration.seconds(second)
            var freshness = whole[directory] ?? DirectoryFreshness()
            switch Int.random(in: 0...5, using: &random) {
            case 0: freshness.began(at: now)
            case 1: freshness.received(at: now)
            case 2: freshness.asked(at: now)
            case 3: freshness.failed(at: now)
            case 4: freshness = DirectoryFreshness()
            default: freshness.succeeded(at: now)
            }
            (whole[directory], ages[directory]) = (freshness, freshness)
            for (directory, freshness) in whole { #expect(ages[directory] == freshness) }
        }
    }

    @Test func hundredsOfThousandsAreRememberedInFewMegabytesAndThenTheNewest() {
        var ages = DirectoryAges()
        ages[directory(1)].began(at: .seconds(1))
        for number in 2...DirectoryAges.listedLimit { ages[directory(number)].succeeded(at: .milliseconds(number)) }
        #expect(ages[directory(2)].listedAt == .milliseconds(2))
        #expect(ages.listed.capacity * (MemoryLayout<InodeNumber>.size + MemoryLayout<Duration>.size) < 16 << 20)
        for number in DirectoryAges.listedLimit...DirectoryAges.listedLimit + 10 {
            ages[directory(number)].succeeded(at: .milliseconds(number))
        }
        #expect(ages[directory(2)] == DirectoryFreshness())
        #expect(ages[directory(DirectoryAges.listedLimit / 2 + 10)].listedAt != nil)
        #expect(ages[directory(1)].isUnderWay)
    }
}

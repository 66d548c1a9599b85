import Cache
import Testing

@testable import Transfer

/// When a listing is taken at its word.
@Suite struct AttributeEvidenceTests {
    var evidence = AttributeEvidence()

    /// Directory `number` of a tree in which the one above `n` is `n / 10`, up to 1.
    private func path(_ number: UInt64) -> [InodeNumber] {
        sequence(first: number) { $0 < 10 ? nil : $0 / 10 }.map(InodeNumber.init(rawValue:))
    }

    private mutating func show(_ count: Int, isPlain: Bool = true, in directory: UInt64) {
        for _ in 0..<count { evidence.learned(isPlain: isPlain, in: path(directory)) }
    }

    private mutating func trusts(_ directory: UInt64, file: UInt64 = 999) -> Bool {
        evidence.trusts(InodeNumber(rawValue: file), in: path(directory))
    }

    @Test mutating func aDirectoryIsTrustedAfterEnoughOfItsObjects() {
        show(AttributeEvidence.enough - 1, in: 11)
        #expect(!trusts(11))
        show(1, in: 11)
        #expect(trusts(11))
        #expect(!trusts(12) && !trusts(1) && !trusts(111))
    }

    @Test mutating func oneObjectWithAttributesEndsItForGood() {
        show(100, in: 11)
        show(1, isPlain: false, in: 11)
        #expect(!trusts(11))
        show(100, in: 11)
        #expect(!trusts(11))
    }

    @Test mutating func severalTrustedDirectoriesVouchForThoseBesideThemAndBelow() {
        for directory in 11...12 as ClosedRange<UInt64> { show(AttributeEvidence.enough, in: directory) }
        #expect(!trusts(14))
        show(AttributeEvidence.enough, in: 13)
        #expect(trusts(14) && trusts(1456))
        #expect(!trusts(2))
    }

    @Test mutating func manySmallDirectoriesVouchTogether() {
        for directory in 10...19 as ClosedRange<UInt64> {
            show(6, in: directory)
            #expect(!trusts(directory))
        }
        show(4, in: 201)
        show(3, in: 11)
        #expect(!trusts(12))
        show(1, in: 12)
        #expect(trusts(12) && trusts(18))
        #expect(!trusts(20) && !trusts(202))
    }

    @Test mutating func trustGoesUpATreeOfDates() {
        for month in 11...13 as ClosedRange<UInt64> {
            for day in 1...3 as ClosedRange<UInt64> { show(AttributeEvidence.enough, in: month * 10 + day) }
        }
        #expect(trusts(141))
    }

    @Test mutating func anObjectWithAttributesBelowSilencesAllAboveIt() {
        for directory in 11...13 as ClosedRange<UInt64> { show(AttributeEvidence.enough, in: directory) }
        #expect(trusts(14))
        show(1, isPlain: false, in: 152)
        #expect(!trusts(14))
        #expect(trusts(11))
    }

    @Test mutating func someAreAskedForAllTheSameFewerAndFewer() {
        show(AttributeEvidence.enough, in: 11)
        let asked = (1...100_000).filter { _ in !trusts(11) }
        #expect(asked == [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536])
    }

    @Test mutating func newsAreAskedFor() {
        show(AttributeEvidence.enough, in: 11)
        evidence.except([InodeNumber(rawValue: 5)])
        #expect(!trusts(11, file: 5) && trusts(11, file: 6))
    }

    @Test mutating func memoryIsBounded() {
        for directory in 1...UInt64(AttributeEvidence.memoryLimit + 10) { show(1, in: directory * 10) }
        evidence.except((0..<UInt64(AttributeEvidence.memoryLimit + 10)).map(InodeNumber.init(rawValue:)))
        show(AttributeEvidence.enough, in: 11)
        #expect(trusts(11, file: UInt64(AttributeEvidence.memoryLimit + 20)))
    }
}

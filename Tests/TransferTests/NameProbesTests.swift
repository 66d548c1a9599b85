import Cache
import Testing

@testable import Transfer

/// When the store is asked for one name, who waits for it, and when for all names of the directory as well.
@Suite struct NameProbesTests {
    private static let ttl = Duration.seconds(10)
    private static let patience = Duration.seconds(2)
    private static let deadline = Duration.seconds(30)
    private static let directory = InodeNumber.root

    private let name: FileName

    init() throws { name = try #require(FileName("a")) }

    /// Asked for at 100 s, and answered at once.
    private func answered() -> NameProbes {
        var probes = NameProbes()
        _ = probes.began(name, in: Self.directory, at: .seconds(100))
        probes.ended(name, in: Self.directory, at: .seconds(100), isAnswered: true)
        return probes
    }

    private func ask(_ probes: NameProbes, hasRow: Bool = true, at now: Duration) -> AnswerAge.Advice {
        probes.ask(
            name, in: Self.directory, hasRow: hasRow, at: now, timeToLive: Self.ttl, patience: Self.patience,
            deadline: Self.deadline)
    }

    @Test(arguments: [
        (Duration.milliseconds(104_999), AnswerAge.Advice.known), (.seconds(105), .knownAndAsk),
        (.milliseconds(109_999), .knownAndAsk), (.seconds(110), .wait(patience)),
    ])
    func theAgeOfWhatIsThereDecides(now: Duration, answer: AnswerAge.Advice) {
        #expect(ask(answered(), at: now) == answer)
    }

    @Test(arguments: [
        (Duration.milliseconds(109_999), AnswerAge.Advice.known), (.seconds(110), .wait(patience)),
    ])
    func aNameThatIsNotThereCostsOneProbeInTheTimeToLive(now: Duration, answer: AnswerAge.Advice) {
        #expect(ask(answered(), hasRow: false, at: now) == answer)
    }

    @Test func ofAnUnknownNameOnlyTheStoreTells() {
        var probes = NameProbes()
        #expect(ask(probes, hasRow: false, at: .seconds(100)) == .wait(Self.deadline))
        #expect(ask(probes, at: .seconds(100)) == .wait(Self.patience))
        _ = probes.began(name, in: Self.directory, at: .seconds(100))
        #expect(ask(probes, hasRow: false, at: .seconds(129)) == .wait(Self.deadline))
        probes.ended(name, in: Self.directory, at: .seconds(129), isAnswered: false)
        #expect(ask(probes, hasRow: false, at: .seconds(129)) == .wait(Self.deadline))
    }

    @Test(arguments: [false, true]) func patienceCountsFromTheStartOfTheProbe(hasRow: Bool) {
        var probes = answered()
        _ = probes.began(name, in: Self.directory, at: .seconds(200))
        #expect(ask(probes, hasRow: hasRow, at: .milliseconds(201_500)) == .wait(.milliseconds(500)))
        #expect(ask(probes, hasRow: hasRow, at: .seconds(202)) == .known)
        #expect(ask(probes, hasRow: hasRow, at: .seconds(300)) == .known)
    }

    @Test(arguments: [false, true]) func afterAFailureNobodyWaitsUntilAProbeWasAnswered(hasRow: Bool) {
        var probes = answered()
        _ = probes.began(name, in: Self.directory, at: .seconds(200))
        probes.ended(name, in: Self.directory, at: .seconds(201), isAnswered: false)
        #expect(ask(probes, hasRow: hasRow, at: .milliseconds(205_999)) == .known)
        #expect(ask(probes, hasRow: hasRow, at: .seconds(206)) == .knownAndAsk)
        _ = probes.began(name, in: Self.directory, at: .seconds(206))
        #expect(ask(probes, hasRow: hasRow, at: .seconds(206)) == .known)
        probes.ended(name, in: Self.directory, at: .seconds(207), isAnswered: true)
        #expect(ask(probes, hasRow: hasRow, at: .seconds(216)) == .wait(Self.patience))
    }

    @Test func anAnswerThatIsInDoubtIsNotGoodAnyMore() {
        var probes = answered()
        probes.doubt(name, in: Self.directory)
        #expect(ask(probes, at: .seconds(100)) == .wait(Self.patience))
        #expect(ask(probes, hasRow: false, at: .seconds(100)) == .wait(Self.deadline))
    }

    @Test func theAgeCountsFromTheStartOfTheProbe() {
        var probes = NameProbes()
        _ = probes.began(name, in: Self.directory, at: .seconds(100))
        probes.ended(name, in: Self.directory, at: .seconds(104), isAnswered: true)
        #expect(remaining(probes, at: .seconds(104)) == .seconds(6))
        #expect(remaining(probes, at: .seconds(200)) == .zero)
        #expect(remaining(NameProbes(), at: .seconds(104)) == .zero)
    }

    private func remaining(_ probes: NameProbes, at now: Duration) -> Duration {
        probes.remaining(name, in: Self.directory, at: now, timeToLive: Self.ttl)
    }

    private func name(_ number: Int) throws -> FileName { try #require(FileName("n\(number)")) }

    @Test func manyNamesOfOneDirectoryAreWorthAListing() throws {
        var probes = NameProbes()
        for number in 1..<NameProbes.manyNames {
            for _ in 0..<3 { #expect(probes.began(try name(number), in: Self.directory, at: .seconds(100)) == false) }
            probes.ended(try name(number), in: Self.directory, at: .seconds(100), isAnswered: true)
        }
        #expect(probes.began(name, in: InodeNumber(rawValue: 7), at: .seconds(100)) == false)
        #expect(probes.began(name, in: Self.directory, at: .seconds(159)) == true)
        #expect(probes.began(try name(1), in: Self.directory, at: .seconds(159)) == true)
        probes.forget(Self.directory)
        #expect(probes.began(name, in: Self.directory, at: .seconds(160)) == false)
    }

    @Test func namesCountTogetherThatWereAskedForAboutTheSameTime() throws {
        var probes = NameProbes()
        for number in 1..<NameProbes.manyNames {
            #expect(probes.began(try name(number), in: Self.directory, at: .seconds(100)) == false)
            probes.ended(try name(number), in: Self.directory, at: .seconds(100), isAnswered: number > 1)
        }
        #expect(probes.began(name, in: Self.directory, at: .seconds(100) + NameProbes.span) == false)
    }

    @Test func theMemoryIsBounded() throws {
        var probes = NameProbes()
        for number in 0..<NameProbes.memoryLimit {
            let directory = InodeNumber(rawValue: UInt64(number / 3 + 2))
            _ = probes.began(try name(number), in: directory, at: .seconds(100))
            if number > 0 { probes.ended(try name(number), in: directory, at: .seconds(100), isAnswered: true) }
        }
        func isKnown(_ number: Int) throws -> Bool {
            probes.ask(
                try name(number), in: InodeNumber(rawValue: UInt64(number / 3 + 2)), hasRow: false, at: .seconds(100),
                timeToLive: Self.ttl, patience: Self.patience, deadline: Self.deadline) == .known
        }
        #expect(try isKnown(1) && isKnown(NameProbes.memoryLimit - 1))
        _ = probes.began(name, in: Self.directory, at: .seconds(100))
        #expect(try !isKnown(1) && !isKnown(NameProbes.memoryLimit - 1))
        // What is asked for now is remembered.
        probes.ended(try name(0), in: InodeNumber(rawValue: 2), at: .seconds(100), isAnswered: true)
        #expect(try isKnown(0))
    }
}

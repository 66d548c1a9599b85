import Testing

@testable import Transfer

/// When a directory is listed, and who waits for it.
@Suite struct DirectoryFreshnessTests {
    private static let ttl = Duration.seconds(10)
    private static let patience = Duration.seconds(2)

    /// Listed at 100 s, in no time.
    private static func listed() -> DirectoryFreshness {
        var freshness = DirectoryFreshness()
        freshness.began(at: .seconds(100))
        freshness.succeeded(at: .seconds(100))
        return freshness
    }

    private func ask(
        _ freshness: DirectoryFreshness, at now: Duration, patience: Duration = Self.patience
    ) -> AnswerAge.Advice {
        freshness.ask(at: now, timeToLive: Self.ttl, patience: patience)
    }

    @Test(arguments: [
        (Duration.seconds(100), AnswerAge.Advice.known), (.milliseconds(104_999), .known),
        (.seconds(105), .knownAndAsk), (.milliseconds(109_999), .knownAndAsk), (.seconds(110), .wait(patience)),
        (.seconds(100_000), .wait(patience)),
    ])
    func theAgeDecides(now: Duration, answer: AnswerAge.Advice) {
        #expect(ask(Self.listed(), at: now) == answer)
    }

    @Test func whatWasNeverListedIsWaitedFor() {
        #expect(ask(DirectoryFreshness(), at: .zero) == .wait(Self.patience))
        #expect(ask(DirectoryFreshness(), at: .zero, patience: .zero) == .knownAndAsk)
    }

    @Test func whoHasNoPatienceGetsWhatIsKnownAndStartsTheListing() {
        #expect(ask(Self.listed(), at: .seconds(200), patience: .zero) == .knownAndAsk)
    }

    @Test func aListingUnderWayIsNotBegunAgain() {
        var freshness = Self.listed()
        freshness.began(at: .seconds(105))
        #expect(ask(freshness, at: .seconds(106)) == .known)
        #expect(ask(freshness, at: .seconds(200), patience: .zero) == .known)
    }

    @Test func patienceCountsFromTheStartOfTheListing() {
        var freshness = Self.listed()
        freshness.began(at: .seconds(200))
        #expect(ask(freshness, at: .seconds(200)) == .wait(.seconds(2)))
        #expect(ask(freshness, at: .milliseconds(201_500)) == .wait(.milliseconds(500)))
        #expect(ask(freshness, at: .milliseconds(201_500), patience: .milliseconds(300)) == .known)
        #expect(ask(freshness, at: .seconds(202)) == .known)
        #expect(ask(freshness, at: .seconds(300)) == .known)
    }

    @Test func afterAFailureNobodyWaitsUntilAListingSucceeded() {
        var freshness = Self.listed()
        freshness.began(at: .seconds(200))
        freshness.failed(at: .seconds(201))
        #expect(ask(freshness, at: .seconds(201)) == .known)
        #expect(ask(freshness, at: .seconds(206)) == .knownAndAsk)
        freshness.began(at: .seconds(206))
        #expect(ask(freshness, at: .seconds(206)) == .known)
        freshness.succeeded(at: .seconds(206))
        #expect(ask(freshness, at: .seconds(216)) == .wait(Self.patience))
    }

    @Test func aFailureInTheBackgroundIsTriedAgainInHalfTheTimeToLive() {
        var freshness = Self.listed()
        freshness.began(at: .seconds(105))
        freshness.failed(at: .seconds(105))
        #expect(ask(freshness, at: .milliseconds(109_999)) == .known)
        #expect(ask(freshness, at: .seconds(110)) == .knownAndAsk)
    }

    @Test func withoutATimeToLiveAFailureIsTriedAgainAfterASecond() {
        var freshness = Self.listed()
        freshness.began(at: .seconds(105))
        freshness.failed(at: .seconds(105))
        #expect(freshness.ask(at: .milliseconds(105_999), timeToLive: .zero, patience: Self.patience) == .known)
        #expect(freshness.ask(at: .seconds(106), timeToLive: .zero, patience: Self.patience) == .knownAndAsk)
    }

    @Test func aLateAnswerIsAnAnswer() {
        var freshness = Self.listed()
        freshness.began(at: .seconds(200))
        freshness.succeeded(at: .seconds(203))
        #expect(ask(freshness, at: .seconds(203)) == .known)
        #expect(ask(freshness, at: .seconds(300)) == .wait(Self.patience))
    }

    @Test func theAgeCountsFromTheStartOfTheListing() {
        var freshness = DirectoryFreshness()
        freshness.began(at: .seconds(100))
        freshness.succeeded(at: .milliseconds(100_500))
        #expect(freshness.remaining(at: .seconds(104), timeToLive: Self.ttl) == .seconds(6))
        #expect(ask(freshness, at: .seconds(105)) == .knownAndAsk)
    }

    /// Listed from 100 s to 130 s.
    private static func listedSlowly(pages: Int) -> DirectoryFreshness {
        var freshness = DirectoryFreshness()
        freshness.began(at: .seconds(100))
        for _ in 0..<pages { freshness.received(at: .seconds(110)) }
        freshness.succeeded(at: .seconds(130))
        return freshness
    }

    @Test func oneSlowPageIsNoLargeDirectory() {
        #expect(ask(Self.listedSlowly(pages: 1), at: .seconds(130)) == .wait(Self.patience))
    }

    @Test func listingALargeDirectoryTakesAtMostATenthOfTheTime() {
        let freshness = Self.listedSlowly(pages: 2)
        #expect(ask(freshness, at: .milliseconds(249_999)) == .known)
        #expect(ask(freshness, at: .seconds(250)) == .knownAndAsk)
        #expect(ask(freshness, at: .seconds(400)) == .wait(Self.patience))
        #expect(freshness.remaining(at: .seconds(400), timeToLive: Self.ttl) == .zero)
    }

    @Test func aFailureKeepsWhatTheLastListingTookAndFound() {
        var freshness = Self.listedSlowly(pages: 2)
        freshness.began(at: .seconds(260))
        freshness.failed(at: .seconds(261))
        #expect(freshness.remaining(at: .seconds(300), timeToLive: Self.ttl) == .seconds(100))
        #expect(ask(freshness, at: .seconds(300)) == .known)
        #expect(ask(freshness, at: .seconds(411)) == .knownAndAsk)
    }

    @Test func theStoreIsSilentOnlyWhileItIsAsked() {
        var freshness = DirectoryFreshness()
        freshness.received(at: .seconds(1))
        #expect(freshness.lastProgress(at: .seconds(1)) == nil)
        freshness.began(at: .seconds(2))
        #expect(freshness.lastProgress(at: .seconds(9)) == .seconds(2))
        freshness.received(at: .seconds(9))
        #expect(freshness.lastProgress(at: .seconds(90)) == .seconds(90))
        freshness.asked(at: .seconds(91))
        #expect(freshness.lastProgress(at: .seconds(95)) == .seconds(91))
        freshness.received(at: .seconds(96))
        freshness.failed(at: .seconds(97))
        #expect(freshness.lastProgress(at: .seconds(98)) == nil && !freshness.isUnderWay)
    }
}

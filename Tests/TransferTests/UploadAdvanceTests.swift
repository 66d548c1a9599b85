import Cache
import Testing

@testable import Transfer

/// What of the bytes that go out counts as progress.
@Suite struct UploadAdvanceTests {
    private let first = InodeNumber(rawValue: 2)
    private let second = InodeNumber(rawValue: 3)

    @Test func bytesThatComeFurtherAreProgress() {
        var advance = UploadAdvance()
        advance.sent(10, of: first, at: .seconds(1))
        advance.sent(20, of: first, at: .seconds(2))
        #expect(advance.last == .seconds(2))
        advance.sent(5, of: second, at: .seconds(3))
        #expect(advance.last == .seconds(3))
    }

    @Test func bytesThatAreSentAgainAndAgainAreNone() {
        var advance = UploadAdvance()
        advance.sent(20, of: first, at: .seconds(1))
        for second in 2..<100 {
            for done: Int64 in [5, 10, 20] { advance.sent(done, of: first, at: .seconds(second)) }
        }
        #expect(advance.last == .seconds(1))
    }

    @Test func whatArrivedIsProgressAndTheNextChangeOfTheFileBeginsAnew() {
        var advance = UploadAdvance()
        advance.sent(20, of: first, at: .seconds(1))
        advance.settled(first, at: .seconds(5))
        #expect(advance.last == .seconds(5))
        advance.sent(1, of: first, at: .seconds(7))
        #expect(advance.last == .seconds(7))
    }
}

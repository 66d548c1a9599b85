import Platform
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [Int64.min, Int64.min + 1, Int64.min + 999_999_999, -1_000_000_001, -1, 0, 1, Int64.max])
    func anyCountOfNanosecondsHasSecondsAndARest(_ nanoseconds: Int64) {
        let time = Timestamp(nanoseconds: nanoseconds)
        #expect((0..<1_000_000_000).contains(time.subsecondNanoseconds))
        let whole = time.seconds.multipliedFullWidth(by: 1_000_000_000)
        #expect(whole.low &+ UInt64(time.subsecondNanoseconds) == UInt64(bitPattern: nanoseconds))
        #expect(!CalendarTime(time).basic.isEmpty)
    }

    @Test func secondsAreRoundedDownBefore1970() {
        #expect(Timestamp(nanoseconds: -1).seconds == -1)
        #expect(Timestamp(nanoseconds: -1).subsecondNanoseconds == 999_999_999)
        #expect(Timestamp(nanoseconds: -2_000_000_000).seconds == -2)
        #expect(Timestamp(nanoseconds: -2_000_000_000).subsecondNanoseconds == 0)
    }
}

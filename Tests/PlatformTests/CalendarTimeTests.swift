import Platform
import Testing

@Suite struct CalendarTimeTests {
    @Test(
        arguments: [
            (0, "19700101T000000Z"), (951_782_399, "20000228T235959Z"), (951_782_400, "20000229T000000Z"),
            (4_107_542_400, "21000301T000000Z"), (1_767_225_599, "20251231T235959Z"), (-1, "19691231T235959Z"),
        ] as [(Int64, String)]
    )
    func calendarTime(_ seconds: Int64, _ text: String) {
        let time = CalendarTime(Timestamp(seconds: seconds))
        #expect(time.basic == text)
        #expect(time.timestamp == Timestamp(seconds: seconds))
    }

    @Test func everyDayOfFourCenturiesComesBack() {
        for day in stride(from: Int64(-50_000), to: 97_000, by: 1) {
            let moment = Timestamp(seconds: day * 86_400 + 3601)
            #expect(CalendarTime(moment).timestamp == moment)
        }
    }

    @Test func httpDates() {
        #expect(CalendarTime(http: "Fri, 24 May 2013 00:00:01 GMT")?.timestamp == Timestamp(seconds: 1_369_353_601))
        #expect(
            CalendarTime(http: "Mon, 1 Dec 2025 23:59:58 GMT")
                == CalendarTime(year: 2025, month: 12, day: 1, hour: 23, minute: 59, second: 58))
        for text in [
            "", "24 May 2013", "Fri, 24 Mai 2013 00:00:01 GMT", "Fri, 99 May 2013 00:00:01 GMT",
            "Fri, 24 May 13 00:00:01 GMT", "Fri, 24 May 2013 00:00", "a b c d e f",
        ] {
            #expect(CalendarTime(http: text) == nil)
        }
    }

    @Test func isoDates() {
        #expect(CalendarTime(iso8601: "2013-05-24T00:00:01Z".utf8)?.timestamp == Timestamp(seconds: 1_369_353_601))
        #expect(CalendarTime(iso8601: "2013-05-24T00:00:01.5Z".utf8)?.nanosecond == 500_000_000)
        for text in ["", "2013-05-24", "2013-13-24T00:00:01Z", "2013-05-24T00:00:01", "2013-05-24T00:00:01.12x"] {
            #expect(CalendarTime(iso8601: text.utf8) == nil)
        }
    }

    @Test func offsetsFromUTCAreTakenIntoAccount() {
        let moment = Timestamp(seconds: 1_136_214_245, nanoseconds: 999_999_999)
        #expect(CalendarTime(iso8601: "2006-01-02T15:04:05.999999999Z".utf8)?.timestamp == moment)
        #expect(CalendarTime(iso8601: "2006-01-02T22:04:05.999999999+07:00".utf8)?.timestamp == moment)
        #expect(CalendarTime(iso8601: "2006-01-02 10:34:05.9999999991-04:30".utf8)?.timestamp == moment)
    }
}

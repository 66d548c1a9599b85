import ObjectStore
import Platform
import Testing

@testable import S3

struct TextFormTests {
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
        for text in [
            "", "24 May 2013", "Fri, 24 Mai 2013 00:00:01 GMT", "Fri, 99 May 2013 00:00:01 GMT", "a b c d e f",
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

    @Test func listingsAreDecoded() {
        let decode = { (text: String) in Array(text.utf8).withUnsafeBytes { PercentEncoding.decodeListing($0) } }
        #expect(decode("a+b%2Bc%2f%C3%BC") == "a b+c/ü")
        #expect(decode("100%") == "100%")
        #expect(decode("%zz%4") == "%zz%4")
        #expect(decode("%41") == "A")
    }

    @Test func contentMD5IsBase64() {
        #expect(BodyDigest(of: []).contentMD5 == "1B2M2Y8AsgTpgAmY7PhCfg==")
    }

    @Test func eTagsLoseTheirQuotes() {
        #expect(ETag(header: "\"abc\"").value == "abc")
        #expect(ETag(header: "W/\"abc\"").value == "abc")
        #expect(ETag(header: "abc").quoted == "\"abc\"")
        #expect(ETag(header: "\"").value == "\"")
    }

    @Test func contentRanges() throws {
        let parse = { (text: String) in try ObjectHeaders.contentRange(["Content-Range": text]) }
        #expect(try parse("bytes 0-9/100").range == 0..<10)
        #expect(try parse("bytes 0-9/100").size == 100)
        for text in [
            "bytes 5-4/10", "bytes 0-10/10", "bytes */10", "bytes 0-9/*", "0-9/10",
            "bytes 0-9223372036854775807/9223372036854775807",
        ] {
            #expect(throws: StoreError.self) { try parse(text) }
        }
    }

    @Test func metadataMustBePlain() throws {
        #expect(try ObjectHeaders.metadata(["mode": "33188"]).map(\.name) == ["x-amz-meta-mode"])
        for bad in [["a": "ü"], ["a": "x\r\ny: z"], ["A": "x"], ["a b": "x"], ["": "x"], ["a": " x"]] {
            #expect(throws: StoreError.self) { try ObjectHeaders.metadata(bad) }
        }
    }
}

import ObjectStore
import Testing

@testable import S3

struct TextFormTests {
    @Test func listingsAreDecoded() {
        let decode = { (text: String) in Array(text.utf8).withUnsafeBytes { PercentEncoding.decodeListing($0) } }
        #expect(decode("a+b%2Bc%2f%C3%BC") == "a b+c/ü")
        #expect(decode("100%") == "100%")
        #expect(decode("%zz%4") == "%zz%4")
        #expect(decode("%41") == "A")
        // What is no UTF-8 gets a NUL: no path can name it.
        #expect(decode("a%FFb%00") == "a\u{FFFD}\0b\0")
        #expect(decode("a%EF%BF%BDb") == "a\u{FFFD}b")
    }

    @Test func contentMD5IsBase64() {
        #expect(BodyDigest(of: []).header.value == "1B2M2Y8AsgTpgAmY7PhCfg==")
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

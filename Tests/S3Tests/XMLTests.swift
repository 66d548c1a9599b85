import ObjectStore
import Platform
import Testing

@testable import S3

struct XMLTests {
    private func list(_ content: String) -> [UInt8] {
        Array(
            """
            <?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\(content)</ListBucketResult>
            """.utf8
        )
    }

    private func failure(_ text: String) -> StoreError.Kind? {
        do {
            _ = try XMLRecords(parsing: Array(text.utf8))
            return nil
        } catch { return error.kind }
    }

    @Test func aListingHasObjectsPrefixesAndItsToken() throws {
        let page = try ListAnswer.parse(
            list(
                """
                <Name>b</Name><Prefix>a/</Prefix><EncodingType>url</EncodingType><KeyCount>2</KeyCount>
                <IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;k=</NextContinuationToken>
                <Contents><Key>a/sp+ace%2Bplus%25</Key><LastModified>2009-10-12T17:50:30.250Z</LastModified>
                <ETag>&quot;fba9dede5f27731c9771645a39863328&quot;</ETag><Size>434234</Size>
                <Owner><ID>x</ID></Owner><StorageClass>STANDARD</StorageClass></Contents>
                <CommonPrefixes><Prefix>a/%C3%BC/</Prefix></CommonPrefixes>
                """
            )
        )
        #expect(page.continuation == "t&k=")
        #expect(page.commonPrefixes == ["a/ü/"])
        #expect(
            page.objects == [
                ObjectInfo(
                    key: ObjectKey("a/sp ace+plus%"),
                    size: 434_234,
                    etag: ETag("fba9dede5f27731c9771645a39863328"),
                    lastModified: Timestamp(seconds: 1_255_369_830, nanoseconds: 250_000_000)
                )
            ]
        )
    }

    @Test func namesStayAsTheyAreWithoutEncodingType() throws {
        let page = try ListAnswer.parse(
            list("<IsTruncated>false</IsTruncated><Contents><Key>a+b%20&lt;</Key><Size>0</Size></Contents>")
        )
        #expect(page.objects.map(\.key) == [ObjectKey("a+b%20<")])
        #expect(page.continuation == nil)
    }

    @Test func anEmptyListingIsEmpty() throws {
        let page = try ListAnswer.parse(list("<IsTruncated>false</IsTruncated>"))
        #expect(page == ListPage(objects: [], commonPrefixes: [], continuation: nil))
    }

    @Test(arguments: [
        "<Contents><Key>a</Key><Size>x</Size></Contents>", "<Contents><Key>a</Key><Size>-1</Size></Contents>",
        "<Contents><Size>1</Size></Contents>",
        "<Contents><Key>a</Key><Size>1</Size><LastModified>now</LastModified></Contents>",
        "<CommonPrefixes></CommonPrefixes>", "<IsTruncated>true</IsTruncated>", "<Contents>", "\u{1}", "&unknown;",
    ])
    func aBrokenListingIsABadAnswer(_ content: String) {
        #expect { try ListAnswer.parse(list(content)) } throws: { ($0 as? StoreError)?.kind == .badAnswer }
    }

    @Test func anotherDocumentIsNoListing() {
        #expect { try ListAnswer.parse(Array("<html></html>".utf8)) } throws: {
            ($0 as? StoreError)?.kind == .badAnswer
        }
    }

    @Test func documentTypesAndEntitiesAreRefused() {
        #expect(failure("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>") == .badAnswer)
        #expect(failure("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>") == .badAnswer)
    }

    @Test func depthAndFieldsAreBounded() {
        let deep = String(repeating: "<a>", count: 17) + String(repeating: "</a>", count: 17)
        #expect(failure(deep) == .badAnswer)
        #expect(failure("<a><b>" + String(repeating: "x", count: 65 << 10) + "</b></a>") == .badAnswer)
        #expect(failure("<a><b>" + String(repeating: "x", count: 63 << 10) + "</b></a>") == nil)
    }

    @Test(arguments: ["", " ", "no xml", "<a>", "<a></b>", "<a/><b/>", "<a>\u{0}</a>"])
    func whatIsNoDocumentIsABadAnswer(_ text: String) { #expect(failure(text) == .badAnswer) }

    @Test func invalidUTF8IsABadAnswer() {
        #expect { try XMLRecords(parsing: Array("<a><b>".utf8) + [0xff, 0xfe] + Array("</b></a>".utf8)) } throws: {
            ($0 as? StoreError)?.kind == .badAnswer
        }
    }

    @Test func whiteSpaceBeforeTheDeclarationIsAccepted() throws {
        let answer = try XMLRecords(parsing: Array("  \n\n<?xml version=\"1.0\"?><R><ETag>\"e\"</ETag></R>".utf8))
        #expect(answer == XMLRecords(root: "R", fields: ["ETag": "\"e\""]))
    }

    @Test func partsAreRead() throws {
        let answer = try XMLRecords(
            parsing: Array(
                """
                <ListPartsResult><IsTruncated>true</IsTruncated>
                <Part><PartNumber>2</PartNumber><ETag>"a"</ETag><Size>5242880</Size></Part>
                <Part><PartNumber>3</PartNumber><ETag>b</ETag><Size>1</Size></Part></ListPartsResult>
                """.utf8
            )
        )
        let (parts, isTruncated) = try S3Store.parts(answer)
        #expect(isTruncated)
        #expect(
            parts == [
                UploadedPart(number: 2, etag: ETag("a"), size: 5_242_880),
                UploadedPart(number: 3, etag: ETag("b"), size: 1),
            ]
        )
    }

    @Test func ofAPartListedTwiceTheNewestCounts() throws {
        let part = { (etag: String, second: Int) in
            "<Part><PartNumber>1</PartNumber><LastModified>2026-01-01T00:00:0\(second).000Z</LastModified>"
                + "<ETag>\(etag)</ETag><Size>6</Size></Part>"
        }
        let text = "<ListPartsResult>" + part("a", 1) + part("c", 3) + part("b", 2) + "</ListPartsResult>"
        let (parts, isTruncated) = try S3Store.parts(try XMLRecords(parsing: Array(text.utf8)))
        #expect(parts == [UploadedPart(number: 1, etag: ETag("c"), size: 6)])
        #expect(!isTruncated)
    }

    @Test func keysAreEscapedInRequests() {
        let body = String(decoding: XMLWriter.delete([ObjectKey("a<&>\"\r\n'ü")]), as: UTF8.self)
        #expect(body.contains("<Key>a&lt;&amp;&gt;&quot;&#13;&#10;'ü</Key>"))
        #expect(body.hasSuffix("<Quiet>true</Quiet></Delete>"))
    }

    @Test func controlCharactersCannotBeExpressed() {
        #expect(!XMLWriter.canExpress("a\u{1}"))
        #expect(!XMLWriter.canExpress("\u{FFFF}"))
        #expect(XMLWriter.canExpress("\t\r\n 😀"))
    }

    @Test func aPageOfAThousandKeysIsReadWithoutDelay() throws {
        let entry = { (n: Int) in
            """
            <Contents><Key>train/class-0001/image-\(n).jpeg</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified>
            <ETag>&quot;fba9dede5f27731c9771645a39863328&quot;</ETag><Size>434234</Size>
            <StorageClass>STANDARD</StorageClass></Contents>
            """
        }
        let document = list((0..<1000).map(entry).joined())
        var best = Duration.seconds(60)
        for _ in 0..<5 {
            let start = ContinuousClock().now
            let page = try ListAnswer.parse(document)
            best = min(best, ContinuousClock().now - start)
            #expect(page.objects.count == 1000)
        }
        // About 2 ms in a release build; the bound leaves room for a debug build on a machine that does ten other things.
        #expect(best < .seconds(5))
    }
}

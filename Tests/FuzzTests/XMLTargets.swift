import Cache
import ObjectStore
import Platform

@testable import S3

/// Answers of stores.
enum XMLTargets {
    static let all = [listing, error, answer, token]

    private static let words = [
        "<ListBucketResult>", "</ListBucketResult>", "<Contents>", "</Contents>", "<Key>", "</Key>", "<Size>",
        "</Size>",
        "<IsTruncated>true</IsTruncated>", "<EncodingType>url</EncodingType>", "<CommonPrefixes>", "<Prefix>",
        "<NextContinuationToken>", "<?xml version=\"1.0\"?>", "<!DOCTYPE a [<!ENTITY b \"c\">]>", "&b;", "<![CDATA[",
        "]]>", "<!--", "-->", "<a>", "</a>", "<a/>", " xmlns=\"x\"", "&lt;", "&#x10FFFF;", "&#1;",
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified>", "<ETag>&quot;e&quot;</ETag>", "UTF-16", "\u{FEFF}",
    ]

    /// Sizes are sizes, and no more comes out than went in.
    private static let listing = FuzzTarget(name: "xml-listing", words: words) { input in
        let page: ListPage
        do throws(StoreError) { page = try ListAnswer.parse(input) } catch { return try refused(error, .badAnswer) }
        try require(page.objects.count + page.commonPrefixes.count <= input.count, "more entries than bytes")
        for object in page.objects {
            try require(object.size >= 0, "a size of \(object.size)")
            _ = object.lastModified.seconds
            try NameTargets.checkName(object.key.string)
        }
        for prefix in page.commonPrefixes { try NameTargets.checkName(String(prefix.dropLast())) }
    }

    private static let error = FuzzTarget(
        name: "xml-error", words: words + ["<Error>", "</Error>", "<Code>", "SlowDown", "NoSuchKey", "<Region>"]
    ) { input in
        for status in [200, 301, 400, 403, 404, 409, 412, 500, 503] {
            let error = ErrorAnswer.error(in: HTTPResponse(status: status, body: input))
            try require(status == 200 || error != nil, "\(status) is no error")
            if let region = error?.region, S3Configuration.isRegion(region) {
                try require(!region.contains { "./@:?#\\".contains($0) }, "a region that leads elsewhere: \(region)")
            }
        }
    }

    private static let answer = FuzzTarget(name: "xml-answer", words: words) { input in
        let records: XMLRecords
        do throws(StoreError) { records = try XMLRecords(parsing: input) } catch {
            return try refused(error, .badAnswer)
        }
        let size = records.fields.reduce(0) { $0 + $1.value.utf8.count }
        try require(size <= input.count * 3, "\(size) bytes of fields of \(input.count)")
    }

    private static let token = FuzzTarget(
        name: "sts", words: words + ["<AccessKeyId>", "<SecretAccessKey>", "<Expiration>", "<Code>"]
    ) { input in
        for status in [200, 400] {
            let response = HTTPResponse(status: status, body: input)
            do {
                try CredentialsTargets.check(try STSAnswer.credentials(response, from: "fuzz"))
            } catch let error as StoreError { try refused(error, .noCredentials) }
        }
    }

    static func refused(_ error: StoreError, _ kinds: StoreError.Kind...) throws {
        try require(kinds.contains(error.kind), "another error: \(error)")
        try require(error.message.utf8.count < 2000, "a message of \(error.message.utf8.count) bytes")
    }
}

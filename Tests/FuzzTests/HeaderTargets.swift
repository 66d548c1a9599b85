import ObjectStore
import Platform

@testable import S3
@testable import Transfer

/// Headers of answers, and the metadata in them.
enum HeaderTargets {
    static let all = [headers, metadata, attributes, dates]

    private static let words = [
        "ETag: ", "Content-Length: ", "Content-Range: bytes 0-9/10", "Last-Modified: Fri, 24 May 2013 00:00:00 GMT",
        "x-amz-meta-", "x-amz-bucket-region: ", "Date: ", "\"", "W/", "bytes ", "*", "\r\n", ":", "\t",
    ]

    private static let headers = FuzzTarget(name: "headers", words: words) { input in
        var headers = HTTPHeaders()
        for line in String(decoding: input, as: UTF8.self).split(whereSeparator: \.isNewline) {
            headers.add(line: line)
        }
        if let length = try? ObjectHeaders.contentLength(headers) { try require(length >= 0, "length \(length)") }
        if let (range, size) = try? ObjectHeaders.contentRange(headers) {
            try require(0 <= range.lowerBound && range.upperBound <= size, "range \(range) of \(size)")
        }
        if let info = try? ObjectHeaders.info(ObjectKey("k"), size: 1, headers) {
            _ = info.lastModified.seconds
            try check(PosixMetadata(decoding: info.metadata))
        }
    }

    private static let metadata = FuzzTarget(
        name: "metadata",
        words: [
            "mode=", "uid=", "gid=", "mtime=", "ctime=", "atime=", "xattr=", "rdev=", "file-permissions=",
            "file-mtime=",
            "33188", "0100644", "ns", "ms", ".", "2026-01-01T00:00:00Z", "+07:00", "\n",
        ]
    ) { input in
        var metadata: [String: String] = [:]
        for line in String(decoding: input, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
            metadata[parts.first ?? ""] = parts.count > 1 ? parts[1] : ""
        }
        try check(PosixMetadata(decoding: metadata))
    }

    /// What was read once is read again from what is written of it.
    private static func check(_ decoded: PosixMetadata) throws {
        for time in [decoded.modified, decoded.changed, decoded.accessed].compactMap(\.self) {
            try require((0..<1_000_000_000).contains(time.subsecondNanoseconds), "\(time)")
            _ = CalendarTime(time).basic
        }
        try require((decoded.permissions ?? 0) & ~0o1777 == 0, "set-id bits")
        var expected = decoded
        // Written without the fraction, as nobody reads that of a time before 1970.
        let floor = { (time: Timestamp?) in time.map { $0.nanoseconds < 0 ? Timestamp(seconds: $0.seconds) : $0 } }
        expected.modified = floor(expected.modified)
        expected.changed = floor(expected.changed)
        expected.accessed = floor(expected.accessed)
        if expected.permissions == nil { expected.kind = nil }
        if expected.permissions != nil, expected.kind == nil { expected.kind = nil }
        try require(PosixMetadata(decoding: decoded.encoded) == expected, "\(decoded) becomes another")
    }

    private static let attributes = FuzzTarget(
        name: "xattr", words: ["{", "}", "\":\"", "\",\"", "%22", "%7B", "user.a", "QUJD", "=", "=="]
    ) { input in
        let decoded = ExtendedAttributeText.decode(String(decoding: input, as: UTF8.self))
        try require(decoded.values.reduce(0) { $0 + $1.count } <= input.count, "more bytes than came")
        for name in decoded.keys { try require(ExtendedAttributeText.isName(name), "a name that is none: \(name)") }
        let again = ExtendedAttributeText.decode(ExtendedAttributeText.encode(decoded))
        try require(again == decoded, "\(decoded) becomes \(again)")
        if let bytes = Base64.decode(String(decoding: input, as: UTF8.self)) {
            try require(Base64.decode(Base64.encode(bytes)) == bytes, "base 64 does not come back")
        }
    }

    private static let dates = FuzzTarget(
        name: "dates",
        words: ["GMT", "Jan", "T", "Z", "-", ":", ".", "+", "9999", "0000", "12", "31", "23", "59", "60"]
    ) { input in
        let text = String(decoding: input, as: UTF8.self)
        for time in [CalendarTime(http: text), CalendarTime(iso8601: input)].compactMap(\.self) {
            _ = time.basic
            let moment = time.timestamp
            try require(
                CalendarTime(moment).timestamp.seconds == moment.seconds, "\(time) is \(CalendarTime(moment))")
        }
    }
}

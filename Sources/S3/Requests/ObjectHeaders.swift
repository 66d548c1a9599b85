import ObjectStore
import Platform

/// What headers say of an object, and the headers that say it. Pure.
enum ObjectHeaders {
    private static let metadataPrefix = "x-amz-meta-"

    /// The object that an answer to GET or HEAD describes. `size` is that of the whole object. Throws `.badAnswer`.
    static func info(_ key: ObjectKey, size: Int64, _ headers: HTTPHeaders) throws(StoreError) -> ObjectInfo {
        let modified = headers["last-modified"].flatMap { CalendarTime(http: $0) }
        guard let modified else { throw missing("Last-Modified") }
        return ObjectInfo(
            key: key,
            size: size,
            etag: try etag(headers),
            lastModified: modified.timestamp,
            metadata: metadata(headers)
        )
    }

    /// Throws `.badAnswer`.
    static func etag(_ headers: HTTPHeaders) throws(StoreError) -> ETag {
        guard let text = headers["etag"], !text.isEmpty else { throw missing("ETag") }
        return ETag(header: text)
    }

    /// Whether an ETag that looks like an MD5 is one: with a key of KMS or of the customer it is none (S3 API, "Object").
    static func hasMD5ETag(_ headers: HTTPHeaders) -> Bool {
        let encryption = headers["x-amz-server-side-encryption"] ?? ""
        return !encryption.hasPrefix("aws:kms") && headers["x-amz-server-side-encryption-customer-algorithm"] == nil
    }

    /// Throws `.badAnswer`.
    static func contentLength(_ headers: HTTPHeaders) throws(StoreError) -> Int64 {
        guard let length = headers["content-length"].flatMap({ ObjectInfo.size($0) }) else {
            throw missing("Content-Length")
        }
        return length
    }

    /// Reads `bytes FIRST-LAST/SIZE`. Throws `.badAnswer`.
    static func contentRange(_ headers: HTTPHeaders) throws(StoreError) -> (range: Range<Int64>, size: Int64) {
        let text = headers["content-range"] ?? ""
        let numbers = text.dropFirst("bytes ".count).split(whereSeparator: { $0 == "-" || $0 == "/" })
            .compactMap { ObjectInfo.size($0) }
        guard text.hasPrefix("bytes "), numbers.count == 3, numbers[0] <= numbers[1], numbers[1] < numbers[2] else {
            throw missing("Content-Range")
        }
        return (numbers[0]..<numbers[1] + 1, numbers[2])
    }

    /// `x-amz-meta-*` for a request. Values must be printable ASCII: what else S3 would store and send back is not the
    /// same in any two stores, so encoding is left to who knows the content. Throws `.refused`.
    static func metadata(_ metadata: [String: String]) throws(StoreError) -> [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = []
        for (name, value) in metadata.sorted(by: { $0.key < $1.key }) {
            guard isToken(name), isPrintable(value) else {
                throw StoreError(.refused, message: "metadata \"\(name)\" cannot be sent: it is not printable ASCII")
            }
            headers.append((metadataPrefix + name, value))
        }
        return headers
    }

    static func condition(_ condition: WriteCondition) -> [(name: String, value: String)] {
        switch condition {
        case .none: []
        case .ifAbsent: [("If-None-Match", "*")]
        case .ifMatch(let etag): [("If-Match", etag.quoted)]
        }
    }

    private static func metadata(_ headers: HTTPHeaders) -> [String: String] {
        var metadata: [String: String] = [:]
        for (name, value) in headers.fields where name.hasPrefix(metadataPrefix) {
            metadata[String(name.dropFirst(metadataPrefix.count))] = value
        }
        return metadata
    }

    /// The characters of a header name (RFC 9110, "token"), in lower case.
    private static func isToken(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                (97...122).contains(byte) || (48...57).contains(byte) || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
    }

    private static func isPrintable(_ value: String) -> Bool {
        value.utf8.allSatisfy { (0x20...0x7e).contains($0) } && value.utf8.first != 0x20 && value.utf8.last != 0x20
    }

    private static func missing(_ header: String) -> StoreError {
        StoreError(.badAnswer, message: "the answer has no usable \(header)")
    }
}

import ObjectStore
import Platform

/// Reads the answer of ListObjectsV2 in one pass.
final class ListAnswer: XMLHandler {
    /// Every key of a page may take 3 KiB when percent-encoded, and its prefix as much again; bytes.
    static let bodyLimit = 16 << 20

    /// Keys and prefixes that are taken from one page, ten times what is asked for.
    static let entryLimit = 10_000

    private struct Entry {
        var key: String?
        var size: Int64?
        var etag = ETag("")
        var lastModified = Timestamp(nanoseconds: 0)
        var prefix: String?
    }

    private var hasRightRoot = false
    private var isTruncated = false
    private var isEncoded = false
    private var token: String?
    private var objects: [ObjectInfo] = []
    private var prefixes: [String] = []
    private var entry = Entry()

    /// Throws `.badAnswer`.
    static func parse(_ bytes: [UInt8]) throws(StoreError) -> ListPage {
        let answer = ListAnswer()
        try XMLReader.read(bytes, into: answer)
        guard answer.hasRightRoot else { throw broken("it is no ListBucketResult") }
        if answer.isTruncated, answer.token == nil { throw broken("it is truncated and has no continuation token") }
        return answer.page
    }

    /// Names are decoded at the end, as `EncodingType` may stand behind them.
    private var page: ListPage {
        if isEncoded {
            for index in objects.indices { objects[index].key = ObjectKey(Self.decoded(objects[index].key.string)) }
            prefixes = prefixes.map(Self.decoded)
        }
        return ListPage(objects: objects, commonPrefixes: prefixes, continuation: isTruncated ? token : nil)
    }

    func start(_ name: XMLName, depth: Int) {
        if depth == 1 { hasRightRoot = name == "ListBucketResult" }
        if depth == 2 { entry = Entry() }
    }

    func end(_ name: XMLName, depth: Int, text: UnsafeRawBufferPointer) throws(StoreError) {
        switch depth {
        case 3: try endField(name, text)
        case 2: try endEntry(name, text)
        default: break
        }
    }

    private func endField(_ name: XMLName, _ text: UnsafeRawBufferPointer) throws(StoreError) {
        if name == "Key" {
            entry.key = Self.string(text)
        } else if name == "ETag" {
            entry.etag = ETag(header: text)
        } else if name == "Size" {
            guard let size = ObjectInfo.size(Self.string(text)) else { throw Self.broken("a size is none") }
            entry.size = size
        } else if name == "LastModified" {
            guard let time = CalendarTime(iso8601: text) else { throw Self.broken("a date is unreadable") }
            entry.lastModified = time.timestamp
        } else if name == "Prefix" {
            entry.prefix = Self.string(text)
        }
    }

    private func endEntry(_ name: XMLName, _ text: UnsafeRawBufferPointer) throws(StoreError) {
        guard objects.count + prefixes.count < Self.entryLimit else { throw Self.broken("it has too many entries") }
        if name == "Contents" {
            guard let key = entry.key, let size = entry.size else { throw Self.broken("an entry has no key or size") }
            objects.append(
                ObjectInfo(
                    key: ObjectKey(key),
                    size: size,
                    etag: entry.etag,
                    lastModified: entry.lastModified
                )
            )
        } else if name == "CommonPrefixes" {
            guard let prefix = entry.prefix else { throw Self.broken("a common prefix is empty") }
            prefixes.append(prefix)
        } else if name == "IsTruncated" {
            isTruncated = Self.string(text) == "true"
        } else if name == "NextContinuationToken" {
            token = text.isEmpty ? nil : Self.string(text)
        } else if name == "EncodingType" {
            isEncoded = Self.string(text) == "url"
        }
    }

    private static func string(_ text: UnsafeRawBufferPointer) -> String { String(decoding: text, as: UTF8.self) }

    private static func decoded(_ text: String) -> String {
        var text = text
        return text.withUTF8 { PercentEncoding.decodeListing(UnsafeRawBufferPointer($0)) }
    }

    private static func broken(_ reason: String) -> StoreError {
        StoreError(.badAnswer, message: "the listing cannot be used: \(reason)")
    }
}

/// The rules of S3 that a ``DirectoryStore`` keeps, so that what works on it works on S3.
extension DirectoryStore {
    /// S3 user guide, "Working with object metadata": 2 KB of names and values.
    private static let metadataLimit = 2048

    func check(_ key: ObjectKey, _ metadata: [String: String]) throws(StoreError) {
        guard (1...ObjectKey.maximumLength).contains(key.byteCount), !key.string.utf8.contains(0) else {
            throw StoreError(.invalidKey, code: "KeyTooLongError", message: "a key has 1 to 1024 bytes, none of them 0")
        }
        let size = metadata.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        guard size <= Self.metadataLimit else {
            throw StoreError(.refused, code: "MetadataTooLarge", message: "\(size) bytes of metadata for \(key)")
        }
    }

    func check(size: Int64, ofPart number: Int = 1) throws(StoreError) {
        guard size <= multipartLimits.maximumPartSize else {
            throw StoreError(.tooLarge, code: "EntityTooLarge", message: "\(size) bytes are too many for one request")
        }
        guard (1...multipartLimits.maximumPartCount).contains(number) else {
            throw StoreError(.refused, code: "InvalidArgument", message: "part number \(number)")
        }
    }

    static func clip(_ range: Range<Int64>?, to info: ObjectInfo) throws(StoreError) -> Range<Int64> {
        guard let range else { return 0..<info.size }
        guard range.lowerBound >= 0, range.lowerBound < info.size, !range.isEmpty else {
            throw StoreError(.invalidRange, code: "InvalidRange", message: "\(range) is outside \(info.key)")
        }
        return range.clamped(to: 0..<info.size)
    }

    /// The held parts that a completion names, in its order.
    func choose(
        _ parts: [UploadedPart], from held: [DirectoryUploads.Part]
    ) throws(StoreError) -> [DirectoryUploads.Part] {
        guard !parts.isEmpty else { throw StoreError(.refused, code: "MalformedXML", message: "an upload of no parts") }
        guard zip(parts, parts.dropFirst()).allSatisfy({ $0.number < $1.number }) else {
            throw StoreError(.invalidPart, code: "InvalidPartOrder", message: "parts must ascend by number")
        }
        var chosen: [DirectoryUploads.Part] = []
        for part in parts {
            let match = held.first { $0.described.number == part.number && $0.described.etag == part.etag }
            guard let match else {
                throw StoreError(.invalidPart, code: "InvalidPart", message: "no such part \(part.number)")
            }
            chosen.append(match)
        }
        if let small = chosen.dropLast().first(where: { $0.described.size < multipartLimits.minimumPartSize }) {
            throw StoreError(
                .invalidPart, code: "EntityTooSmall", message: "part \(small.described.number) is too small")
        }
        return chosen
    }

    /// MD5 of the parts' MD5s, and their count, as S3 does it.
    static func multipartETag(of parts: [ETag]) -> ETag {
        let checksum = Checksum(.md5)
        for part in parts {
            let digits = Array(part.value.utf8)
            let digest = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
                UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)
            }
            digest.withUnsafeBytes { checksum.update($0) }
        }
        return ETag("\(Checksum.hex(checksum.finish()))-\(parts.count)")
    }
}

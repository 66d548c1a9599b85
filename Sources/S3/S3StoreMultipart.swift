import ObjectStore
import Platform

/// Multipart uploads ("Uploading and copying objects using multipart upload", S3 user guide).
extension S3Store {
    public func createMultipartUpload(
        _ key: ObjectKey,
        metadata: [String: String]
    ) async throws(StoreError) -> UploadID {
        try check(key)
        let headers = try ObjectHeaders.metadata(metadata)
        guard client.uploadsMayHaveChecksums else { return try await create(key, headers) }
        do {
            return try await create(key, headers + [(Self.checksumAlgorithm, Self.partChecksum.name)])
        } catch  where error.refusesChecksum {
            let upload = try await create(key, headers)
            client.giveUpChecksums(because: error)
            return upload
        }
    }

    /// Of the whole object, made of those of the parts by the store: it comes again with each GET, which checks by it.
    private static let partChecksum = Checksum.Algorithm.crc64nvme
    private static let checksumAlgorithm = "x-amz-checksum-algorithm"

    private func create(
        _ key: ObjectKey, _ headers: [(name: String, value: String)]
    ) async throws(StoreError) -> UploadID {
        let request = S3Request(method: .post, key: key, query: [("uploads", "")], headers: headers)
        // Not sent again by itself: whoever sees it fail looks for an upload that it may have made all the same.
        return try await client.send(attempts: 1) {
            request
        } read: { (response) throws(StoreError) in
            let answer = try Self.result(in: response, root: "InitiateMultipartUploadResult")
            // Stores that do not know the header pass over it.
            let isKnown = response.headers[Self.checksumAlgorithm]?.uppercased() == Self.partChecksum.name
            return UploadID(try answer.required("UploadId"), checksum: isKnown ? Self.partChecksum : nil)
        }
    }

    public func uploadPart(
        _ key: ObjectKey,
        upload: UploadID,
        number: Int,
        body: any ByteSource
    ) async throws(StoreError) -> UploadedPart {
        let request = S3Request(method: .put, key: key, query: part(upload, number))
        let receipt = try await withChecksum(of: upload, key) { () throws(StoreError) in
            try await self.upload(body, with: request, checksum: upload.checksum)
        }
        return UploadedPart(
            number: number, etag: receipt.etag, size: body.count, md5: receipt.md5, checksum: receipt.checksum)
    }

    /// Carries out an operation of an upload. Where the store refuses it, or does not compare the checksum that it promised
    /// to, the next upload has none, and this one is given up: `.noSuchUpload`. Of parts that do not fit and of a condition
    /// that the store does not have, its caller is told.
    private func withChecksum<Value>(
        of upload: UploadID, _ key: ObjectKey, condition: WriteCondition = .none,
        _ operation: () async throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        do {
            return try await operation()
        } catch  where upload.checksum != nil && error.refusesChecksum {
            guard condition == .none || error.kind != .unsupported else { throw error }
            client.giveUpChecksums(because: error)
            if error.kind == .invalidPart { throw error }
            try await abortMultipartUpload(key, upload: upload)
            throw StoreError(.noSuchUpload, message: "given up, as the store may refuse its checksum (\(error))")
        }
    }

    public func copyPart(
        from source: ObjectKey,
        sourceETag: ETag,
        range: Range<Int64>,
        to key: ObjectKey,
        upload: UploadID,
        number: Int
    ) async throws(StoreError) -> UploadedPart {
        try check(source)
        try check(key)
        guard !range.isEmpty, range.lowerBound >= 0 else {
            throw StoreError(.invalidRange, message: "no byte lies in the range \(range)")
        }
        var request = S3Request(method: .put, key: key, query: part(upload, number), isSlow: true)
        request.headers = copySource(source, sourceETag)
        request.headers.append(("x-amz-copy-source-range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"))
        let operation = request
        return try await client.send {
            operation
        } read: { (response) throws(StoreError) in
            let answer = try Self.result(in: response, root: "CopyPartResult")
            return UploadedPart(
                number: number,
                etag: ETag(header: try answer.required("ETag")),
                size: Int64(range.count),
                checksum: upload.checksum.flatMap { answer.fields[$0.element] }
            )
        }
    }

    public func listParts(_ key: ObjectKey, upload: UploadID) async throws(StoreError) -> [UploadedPart] {
        try check(key)
        var parts: [UploadedPart] = []
        while true {
            let marker = parts.last?.number ?? 0
            let page = try await listParts(key, upload: upload, after: marker)
            guard page.parts.allSatisfy({ $0.number > marker }), parts.count <= multipartLimits.maximumPartCount else {
                throw StoreError(.badAnswer, message: "the list of parts does not advance")
            }
            parts += page.parts
            guard page.isTruncated, !page.parts.isEmpty else { return parts }
        }
    }

    public func completeMultipartUpload(
        _ key: ObjectKey,
        upload: UploadID,
        parts: [UploadedPart],
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try check(key)
        let body = XMLWriter.completeMultipartUpload(parts, checksum: upload.checksum)
        let request = S3Request(
            method: .post,
            key: key,
            query: [("uploadId", upload.value)],
            headers: ObjectHeaders.condition(condition),
            body: .bytes(body),
            digest: BodyDigest(of: body),
            isSlow: true
        )
        return try await withChecksum(of: upload, key, condition: condition) { () throws(StoreError) in
            try await client.send {
                request
            } read: { (response) throws(StoreError) in
                try Self.etag(in: response, root: "CompleteMultipartUploadResult")
            }
        }
    }

    public func openMultipartUploads(of key: ObjectKey) async throws(StoreError) -> [UploadID] {
        try check(key)
        // The shortest key with the prefix comes first.
        let query = [("max-uploads", "1000"), ("prefix", key.string), ("uploads", "")]
        let request = S3Request(method: .get, key: nil, query: query)
        return try await client.send {
            request
        } read: { (response) throws(StoreError) in
            let answer = try Self.result(in: response, root: "ListMultipartUploadsResult")
            return (answer.records["Upload"] ?? []).compactMap { upload in
                upload["Key"] == key.string ? upload["UploadId"].map { UploadID($0) } : nil
            }
        }
    }

    public func abortMultipartUpload(_ key: ObjectKey, upload: UploadID) async throws(StoreError) {
        try check(key)
        let request = S3Request(method: .delete, key: key, query: [("uploadId", upload.value)])
        do {
            try await client.send {
                request
            } read: { (_) throws(StoreError) in
            }
        } catch  where error.kind == .noSuchUpload || error.kind == .notFound {
            return
        }
    }

    private func part(_ upload: UploadID, _ number: Int) -> [(name: String, value: String)] {
        [("partNumber", String(number)), ("uploadId", upload.value)]
    }

    private func listParts(
        _ key: ObjectKey,
        upload: UploadID,
        after marker: Int
    ) async throws(StoreError) -> (parts: [UploadedPart], isTruncated: Bool) {
        var request = S3Request(method: .get, key: key, query: [("uploadId", upload.value), ("max-parts", "1000")])
        if marker > 0 { request.query.append(("part-number-marker", String(marker))) }
        let operation = request
        return try await client.send {
            operation
        } read: { (response) throws(StoreError) in
            try Self.parts(try XMLRecords(parsing: response.body))
        }
    }

    /// A store may list a part that was sent again once for each time (SeaweedFS does): the newest counts.
    static func parts(_ answer: XMLRecords) throws(StoreError) -> (parts: [UploadedPart], isTruncated: Bool) {
        guard answer.root == "ListPartsResult" else {
            throw StoreError(.badAnswer, message: "the answer is \(answer.root), not ListPartsResult")
        }
        var newest: [Int: (part: UploadedPart, modified: Timestamp)] = [:]
        for record in answer.records["Part"] ?? [] {
            let part = try Self.part(record)
            let modified = record["LastModified"].flatMap { CalendarTime(iso8601: $0.utf8) }?.timestamp
            let candidate = (part, modified ?? Timestamp(nanoseconds: .min))
            if let known = newest[part.number], known.modified >= candidate.1 { continue }
            newest[part.number] = candidate
        }
        return (newest.values.map(\.part).sorted { $0.number < $1.number }, answer.fields["IsTruncated"] == "true")
    }

    private static func part(_ record: [String: String]) throws(StoreError) -> UploadedPart {
        guard let number = record["PartNumber"].flatMap({ Int($0) }), let etag = record["ETag"],
            let size = record["Size"].flatMap({ ObjectInfo.size($0) })
        else { throw StoreError(.badAnswer, message: "a part in the answer has no number, size or ETag") }
        return UploadedPart(number: number, etag: ETag(header: etag), size: size)
    }
}

extension StoreError {
    /// Whether a checksum may be why: these are no failures of the link, the keys or the bytes.
    fileprivate var refusesChecksum: Bool { kind == .refused || kind == .unsupported || kind == .invalidPart }
}

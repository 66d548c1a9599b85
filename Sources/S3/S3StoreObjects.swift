import ObjectStore

/// Operations on whole objects.
extension S3Store {
    public func head(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo {
        try check(key)
        return try await client.send {
            S3Request(method: .head, key: key)
        } read: { (response) throws(StoreError) in
            let size = try ObjectHeaders.contentLength(response.headers)
            return try ObjectHeaders.info(key, size: size, response.headers)
        }
    }

    public func get(
        _ key: ObjectKey,
        range: Range<Int64>?,
        ifMatch: ETag?,
        into sink: any ByteSink
    ) async throws(StoreError) -> ObjectInfo {
        try check(key)
        if let range, range.isEmpty || range.lowerBound < 0 {
            throw StoreError(.invalidRange, message: "no byte lies in the range \(range)")
        }
        let receiver = RangeReceiver(key, range: range, ifMatch: ifMatch, into: sink)
        return try await client.send { () throws(StoreError) in
            try receiver.request()
        } progress: {
            receiver.position
        } read: { (_) throws(StoreError) in
            try receiver.finish()
        }
    }

    public func put(
        _ key: ObjectKey,
        body: any ByteSource,
        metadata: [String: String],
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        var request = S3Request(method: .put, key: key)
        request.headers = try ObjectHeaders.metadata(metadata) + ObjectHeaders.condition(condition)
        return try await upload(body, with: request).etag
    }

    public func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        try check(key)
        var request = S3Request(method: .delete, key: key)
        if let ifMatch { request.headers.append(("If-Match", ifMatch.quoted)) }
        let operation = request
        do {
            try await client.send {
                operation
            } read: { (_) throws(StoreError) in
            }
        } catch  where error.kind == .notFound {
            return
        }
    }

    public func copy(
        from source: ObjectKey,
        sourceETag: ETag,
        to destination: ObjectKey,
        metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try check(source)
        try check(destination)
        var request = S3Request(method: .put, key: destination)
        request.isSlow = true
        request.headers = copySource(source, sourceETag) + ObjectHeaders.condition(condition)
        request.headers.append(("x-amz-metadata-directive", metadata == nil ? "COPY" : "REPLACE"))
        request.headers += try ObjectHeaders.metadata(metadata ?? [:])
        let operation = request
        return try await client.send {
            operation
        } read: { (response) throws(StoreError) in
            try Self.etag(in: response, root: "CopyObjectResult")
        }
    }

    /// Sends a body with its checksum, and compares what the store says it got: nobody else needs to.
    func upload(
        _ body: any ByteSource, with request: S3Request, checksum: Checksum.Algorithm? = nil
    ) async throws(StoreError) -> UploadReceipt {
        if let key = request.key { try check(key) }
        let digest = try await BodyDigest.compute(body, checksum ?? .md5)
        var request = request
        request.body = .source(body)
        request.digest = digest
        let operation = request
        let receipt = try await client.send {
            operation
        } read: { (response) throws(StoreError) in
            try UploadReceipt(response.headers, checksum: checksum)
        }
        try receipt.check(digest)
        return receipt
    }

    func copySource(_ key: ObjectKey, _ etag: ETag) -> [(name: String, value: String)] {
        let bucket = PercentEncoding.path(client.configuration.bucket)
        return [
            ("x-amz-copy-source", "/\(bucket)/\(PercentEncoding.path(key.string))"),
            ("x-amz-copy-source-if-match", etag.quoted),
        ]
    }

    /// S3 would answer with less clear words.
    func check(_ key: ObjectKey) throws(StoreError) {
        guard (1...ObjectKey.maximumLength).contains(key.byteCount) else {
            throw StoreError(.invalidKey, message: "a key has 1 to 1,024 bytes, this one \(key.byteCount)")
        }
    }

    /// The `ETag` of a result document. Throws `.badAnswer`.
    static func etag(in response: HTTPResponse, root: String) throws(StoreError) -> ETag {
        ETag(header: try result(in: response, root: root).required("ETag"))
    }

    /// Throws `.badAnswer` if the document is another.
    static func result(in response: HTTPResponse, root: String) throws(StoreError) -> XMLRecords {
        let answer = try XMLRecords(parsing: response.body)
        guard answer.root == root else {
            throw StoreError(.badAnswer, message: "the answer is \(answer.root), not \(root)")
        }
        return answer
    }
}

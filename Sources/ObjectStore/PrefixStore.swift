/// Confines another store to the keys below a prefix (`s3://BUCKET/PREFIX`): pure mapping of keys, both ways.
public struct PrefixStore: ObjectStore {
    private let base: any ObjectStore
    /// Empty or ending in `/`.
    public let prefix: String

    /// `prefix` gets the `/` at its end that it lacks; an empty one confines nothing.
    public init(_ base: any ObjectStore, prefix: String) {
        self.base = base
        self.prefix = prefix.isEmpty || prefix.utf8.last == UInt8(ascii: "/") ? prefix : prefix + "/"
    }

    public var multipartLimits: MultipartLimits { base.multipartLimits }

    public func head(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo {
        try inner(try await base.head(outer(key)))
    }

    public func get(
        _ key: ObjectKey, range: Range<Int64>?, ifMatch: ETag?, into sink: any ByteSink
    ) async throws(StoreError) -> ObjectInfo {
        let renaming = RenamingSink(key: key, base: sink)
        var info = try await base.get(outer(key), range: range, ifMatch: ifMatch, into: renaming)
        info.key = key
        return info
    }

    public func put(
        _ key: ObjectKey, body: any ByteSource, metadata: [String: String], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await base.put(outer(key), body: body, metadata: metadata, condition: condition)
    }

    public func list(
        prefix: String, delimiter: String?, continuation: String?, limit: Int
    ) async throws(StoreError) -> ListPage {
        var page = try await base.list(
            prefix: self.prefix + prefix, delimiter: delimiter, continuation: continuation, limit: limit)
        for index in page.objects.indices { page.objects[index] = try inner(page.objects[index]) }
        for index in page.commonPrefixes.indices {
            page.commonPrefixes[index] = try inner(page.commonPrefixes[index])
        }
        return page
    }

    public func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        try await base.delete(outer(key), ifMatch: ifMatch)
    }

    public func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] {
        let failures = try await base.delete(keys.map(outer))
        var mapped: [ObjectKey: StoreError] = [:]
        for (key, error) in failures { mapped[ObjectKey(try inner(key.string))] = error }
        return mapped
    }

    public func copy(
        from source: ObjectKey, sourceETag: ETag, to destination: ObjectKey, metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await base.copy(
            from: outer(source), sourceETag: sourceETag, to: outer(destination), metadata: metadata,
            condition: condition)
    }

    public func createMultipartUpload(
        _ key: ObjectKey, metadata: [String: String]
    ) async throws(StoreError) -> UploadID {
        try await base.createMultipartUpload(outer(key), metadata: metadata)
    }

    public func uploadPart(
        _ key: ObjectKey, upload: UploadID, number: Int, body: any ByteSource
    ) async throws(StoreError) -> UploadedPart {
        try await base.uploadPart(outer(key), upload: upload, number: number, body: body)
    }

    public func copyPart(
        from source: ObjectKey, sourceETag: ETag, range: Range<Int64>, to key: ObjectKey, upload: UploadID,
        number: Int
    ) async throws(StoreError) -> UploadedPart {
        try await base.copyPart(
            from: outer(source), sourceETag: sourceETag, range: range, to: outer(key), upload: upload, number: number)
    }

    public func listParts(_ key: ObjectKey, upload: UploadID) async throws(StoreError) -> [UploadedPart] {
        try await base.listParts(outer(key), upload: upload)
    }

    public func completeMultipartUpload(
        _ key: ObjectKey, upload: UploadID, parts: [UploadedPart], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await base.completeMultipartUpload(outer(key), upload: upload, parts: parts, condition: condition)
    }

    public func openMultipartUploads(of key: ObjectKey) async throws(StoreError) -> [UploadID] {
        try await base.openMultipartUploads(of: outer(key))
    }

    public func abortMultipartUpload(_ key: ObjectKey, upload: UploadID) async throws(StoreError) {
        try await base.abortMultipartUpload(outer(key), upload: upload)
    }

    // MARK: Keys

    private func outer(_ key: ObjectKey) -> ObjectKey { ObjectKey(prefix + key.string) }

    private func inner(_ info: ObjectInfo) throws(StoreError) -> ObjectInfo {
        var info = info
        info.key = ObjectKey(try inner(info.key.string))
        return info
    }

    /// By bytes: a prefix may end in the middle of what Swift takes for one character.
    private func inner(_ name: String) throws(StoreError) -> String {
        guard name.utf8.starts(with: prefix.utf8) else {
            throw StoreError(.badAnswer, message: "the store answered with \(name), which is outside \(prefix)")
        }
        return String(decoding: name.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
    }
}

/// Tells the sink the key that it knows.
private struct RenamingSink: ByteSink {
    let key: ObjectKey
    let base: any ByteSink

    func begin(_ info: ObjectInfo) throws {
        var info = info
        info.key = key
        try base.begin(info)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        try base.write(bytes, at: offset)
    }
}

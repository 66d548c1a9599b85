/// A store that passes on to another what it does not do itself.
public protocol ForwardingStore: ObjectStore {
    var base: any ObjectStore { get }
}

extension ForwardingStore {
    public var multipartLimits: MultipartLimits { base.multipartLimits }

    public func head(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo { try await base.head(key) }

    public func get(
        _ key: ObjectKey, range: Range<Int64>?, ifMatch: ETag?, into sink: any ByteSink
    ) async throws(StoreError) -> ObjectInfo {
        try await base.get(key, range: range, ifMatch: ifMatch, into: sink)
    }

    public func put(
        _ key: ObjectKey, body: any ByteSource, metadata: [String: String], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await base.put(key, body: body, metadata: metadata, condition: condition)
    }

    public func list(
        prefix: String, delimiter: String?, continuation: String?, limit: Int
    ) async throws(StoreError) -> ListPage {
        try await base.list(prefix: prefix, delimiter: delimiter, continuation: continuation, limit: limit)
    }

    public func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        try await base.delete(key, ifMatch: ifMatch)
    }

    public func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] {
        try await base.delete(keys)
    }

    public func copy(
        from source: ObjectKey, sourceETag: ETag, to destination: ObjectKey, metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await base.copy(
            from: source, sourceETag: sourceETag, to: destination, metadata: metadata, condition: condition)
    }

    public func createMultipartUpload(
        _ key: ObjectKey, metadata: [String: String]
    ) async throws(StoreError) -> UploadID {
        try await base.createMultipartUpload(key, metadata: metadata)
    }

    public func uploadPart(
        _ key: ObjectKey, upload: UploadID, number: Int, body: any ByteSource
    ) async throws(StoreError) -> UploadedPart {
        try await base.uploadPart(key, upload: upload, number: number, body: body)
    }

    public func copyPart(
        from source: ObjectKey, sourceETag: ETag, range: Range<Int64>, to key: ObjectKey, upload: UploadID,
        number: Int
    ) async throws(StoreError) -> UploadedPart {
        try await base.copyPart(
            from: source, sourceETag: sourceETag, range: range, to: key, upload: upload, number: number)
    }

    public func listParts(_ key: ObjectKey, upload: UploadID) async throws(StoreError) -> [UploadedPart] {
        try await base.listParts(key, upload: upload)
    }

    public func completeMultipartUpload(
        _ key: ObjectKey, upload: UploadID, parts: [UploadedPart], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await base.completeMultipartUpload(key, upload: upload, parts: parts, condition: condition)
    }

    public func openMultipartUploads(of key: ObjectKey) async throws(StoreError) -> [UploadID] {
        try await base.openMultipartUploads(of: key)
    }

    public func abortMultipartUpload(_ key: ObjectKey, upload: UploadID) async throws(StoreError) {
        try await base.abortMultipartUpload(key, upload: upload)
    }
}

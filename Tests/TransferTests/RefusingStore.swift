import ObjectStore
import TestKit

/// A store that refuses some writes by key and condition.
struct RefusingStore: ObjectStore {
    let base: MemoryStore
    let refusal: @Sendable (ObjectKey, WriteCondition) -> StoreError?

    init(_ base: MemoryStore, refusal: @escaping @Sendable (ObjectKey, WriteCondition) -> StoreError?) {
        self.base = base
        self.refusal = refusal
    }

    private func check(_ key: ObjectKey, _ condition: WriteCondition) throws(StoreError) {
        if let error = refusal(key, condition) { throw error }
    }

    var multipartLimits: MultipartLimits { base.multipartLimits }
    func head(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo { try await base.head(key) }
    func get(
        _ key: ObjectKey,
        range: Range<Int64>?,
        ifMatch: ETag?,
        into sink: any ByteSink
    ) async throws(StoreError) -> ObjectInfo {
        try await base.get(key, range: range, ifMatch: ifMatch, into: sink)
    }
    func put(
        _ key: ObjectKey,
        body: any ByteSource,
        metadata: [String: String],
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try check(key, condition)
        return try await base.put(key, body: body, metadata: metadata, condition: condition)
    }
    func list(
        prefix: String,
        delimiter: String?,
        continuation: String?,
        limit: Int
    ) async throws(StoreError) -> ListPage {
        try await base.list(prefix: prefix, delimiter: delimiter, continuation: continuation, limit: limit)
    }
    func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        try check(key, ifMatch.map { .ifMatch($0) } ?? .none)
        try await base.delete(key, ifMatch: ifMatch)
    }
    func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] { try await base.delete(keys) }
    func copy(
        from source: ObjectKey,
        sourceETag: ETag,
        to destination: ObjectKey,
        metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try check(destination, condition)
        return try await base.copy(
            from: source,
            sourceETag: sourceETag,
            to: destination,
            metadata: metadata,
            condition: condition
        )
    }
    func createMultipartUpload(
        _ key: ObjectKey,
        metadata: [String: String]
    ) async throws(StoreError) -> UploadID {
        try await base.createMultipartUpload(key, metadata: metadata)
    }
    func uploadPart(
        _ key: ObjectKey,
        upload: UploadID,
        number: Int,
        body: any ByteSource
    ) async throws(StoreError) -> UploadedPart {
        try await base.uploadPart(key, upload: upload, number: number, body: body)
    }
    func copyPart(
        from source: ObjectKey,
        sourceETag: ETag,
        range: Range<Int64>,
        to key: ObjectKey,
        upload: UploadID,
        number: Int
    ) async throws(StoreError) -> UploadedPart {
        try await base.copyPart(
            from: source,
            sourceETag: sourceETag,
            range: range,
            to: key,
            upload: upload,
            number: number
        )
    }
    func listParts(_ key: ObjectKey, upload: UploadID) async throws(StoreError) -> [UploadedPart] {
        try await base.listParts(key, upload: upload)
    }
    func completeMultipartUpload(
        _ key: ObjectKey,
        upload: UploadID,
        parts: [UploadedPart],
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try check(key, condition)
        return try await base.completeMultipartUpload(key, upload: upload, parts: parts, condition: condition)
    }
    func openMultipartUploads(of key: ObjectKey) async throws(StoreError) -> [UploadID] {
        try await base.openMultipartUploads(of: key)
    }

    func abortMultipartUpload(_ key: ObjectKey, upload: UploadID) async throws(StoreError) {
        try await base.abortMultipartUpload(key, upload: upload)
    }
}

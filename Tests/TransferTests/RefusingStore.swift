import ObjectStore
import TestKit

/// A store that refuses some writes by key and condition.
struct RefusingStore: ForwardingStore {
    let base: any ObjectStore
    let refusal: @Sendable (ObjectKey, WriteCondition) -> StoreError?

    init(_ base: MemoryStore, refusal: @escaping @Sendable (ObjectKey, WriteCondition) -> StoreError?) {
        self.base = base
        self.refusal = refusal
    }

    private func check(_ key: ObjectKey, _ condition: WriteCondition) throws(StoreError) {
        if let error = refusal(key, condition) { throw error }
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

    func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        try check(key, ifMatch.map { .ifMatch($0) } ?? .none)
        try await base.delete(key, ifMatch: ifMatch)
    }

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

    func completeMultipartUpload(
        _ key: ObjectKey,
        upload: UploadID,
        parts: [UploadedPart],
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try check(key, condition)
        return try await base.completeMultipartUpload(key, upload: upload, parts: parts, condition: condition)
    }
}

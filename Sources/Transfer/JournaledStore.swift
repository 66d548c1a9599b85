import Cache
import ObjectStore

/// A bucket that is changed only after the journal survives a power cut: else one could bring back a state of this machine
/// that knows nothing of a request which took effect, and takes its own object for somebody else's, or would have a
/// deleted file without its bytes. Requests that wait at once share one sync.
///
/// What is not seen before an upload in parts is completed needs no sync of its own, and is passed on.
final class JournaledStore: ForwardingStore {
    let base: any ObjectStore
    private let journal: Journal

    init(_ base: any ObjectStore, journal: Journal) {
        self.base = base
        self.journal = journal
    }

    private func synchronize() async throws(StoreError) {
        do { try await journal.synchronizeAside() } catch {
            throw StoreError(.localFault, message: "the journal could not be synced: \(error)")
        }
    }

    func put(
        _ key: ObjectKey, body: any ByteSource, metadata: [String: String], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await synchronize()
        return try await base.put(key, body: body, metadata: metadata, condition: condition)
    }

    func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        try await synchronize()
        try await base.delete(key, ifMatch: ifMatch)
    }

    func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] {
        try await synchronize()
        return try await base.delete(keys)
    }

    func copy(
        from source: ObjectKey, sourceETag: ETag, to destination: ObjectKey, metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await synchronize()
        return try await base.copy(
            from: source, sourceETag: sourceETag, to: destination, metadata: metadata, condition: condition)
    }

    func createMultipartUpload(
        _ key: ObjectKey, metadata: [String: String]
    ) async throws(StoreError) -> UploadID {
        try await synchronize()
        return try await base.createMultipartUpload(key, metadata: metadata)
    }

    func completeMultipartUpload(
        _ key: ObjectKey, upload: UploadID, parts: [UploadedPart], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await synchronize()
        return try await base.completeMultipartUpload(key, upload: upload, parts: parts, condition: condition)
    }
}

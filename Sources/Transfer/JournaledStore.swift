import Cache
import ObjectStore

/// A bucket that is changed only after the journal survives a power cut: else one could bring back a state of this machine
/// that knows nothing of a request which took effect, and takes its own object for somebody else's, or would have a
/// deleted file without its bytes. Requests that wait at once share one sync.
///
/// What is not seen before an upload in parts is completed needs no sync of its own.
final class JournaledStore: ObjectStore {
    private let base: any ObjectStore
    private let journal: Journal

    init(_ base: any ObjectStore, journal: Journal) {
        self.base = base
        self.journal = journal
    }

    private func synchronize() throws(StoreError) {
        do { try journal.synchronize() } catch {
            throw StoreError(.localFault, message: "the journal could not be synced: \(error)")
        }
    }

    var multipartLimits: MultipartLimits { base.multipartLimits }

    // MARK: Changes

    func put(
        _ key: ObjectKey, body: any ByteSource, metadata: [String: String], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try synchronize()
        return try await base.put(key, body: body, metadata: metadata, condition: condition)
    }

    func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        try synchronize()
        try await base.delete(key, ifMatch: ifMatch)
    }

    func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] {
        try synchronize()
        return try await base.delete(keys)
    }

    func copy(
        from source: ObjectKey, sourceETag: ETag, to destination: ObjectKey, metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try synchronize()
        return try await base.copy(
            from: source, sourceETag: sourceETag, to: destination, metadata: metadata, condition: condition)
    }

    func createMultipartUpload(
        _ key: ObjectKey, metadata: [String: String]
    ) async throws(StoreError) -> UploadID {
        try synchronize()
        return try await base.createMultipartUpload(key, metadata: metadata)
    }

    func completeMultipartUpload(
        _ key: ObjectKey, upload: UploadID, parts: [UploadedPart], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try synchronize()
        return try await base.completeMultipartUpload(key, upload: upload, parts: parts, condition: condition)
    }

    // MARK: The rest

    func head(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo { try await base.head(key) }

    func get(
        _ key: ObjectKey, range: Range<Int64>?, ifMatch: ETag?, into sink: any ByteSink
    ) async throws(StoreError) -> ObjectInfo {
        try await base.get(key, range: range, ifMatch: ifMatch, into: sink)
    }

    func list(
        prefix: String, delimiter: String?, continuation: String?, limit: Int
    ) async throws(StoreError) -> ListPage {
        try await base.list(prefix: prefix, delimiter: delimiter, continuation: continuation, limit: limit)
    }

    func uploadPart(
        _ key: ObjectKey, upload: UploadID, number: Int, body: any ByteSource
    ) async throws(StoreError) -> UploadedPart {
        try await base.uploadPart(key, upload: upload, number: number, body: body)
    }

    func copyPart(
        from source: ObjectKey, sourceETag: ETag, range: Range<Int64>, to key: ObjectKey, upload: UploadID,
        number: Int
    ) async throws(StoreError) -> UploadedPart {
        try await base.copyPart(
            from: source, sourceETag: sourceETag, range: range, to: key, upload: upload, number: number)
    }

    func listParts(_ key: ObjectKey, upload: UploadID) async throws(StoreError) -> [UploadedPart] {
        try await base.listParts(key, upload: upload)
    }

    func openMultipartUploads(of key: ObjectKey) async throws(StoreError) -> [UploadID] {
        try await base.openMultipartUploads(of: key)
    }

    func abortMultipartUpload(_ key: ObjectKey, upload: UploadID) async throws(StoreError) {
        try await base.abortMultipartUpload(key, upload: upload)
    }
}

import ObjectStore
import Synchronization

/// A store seen by a process that dies at a chosen request, before or after it takes effect: from then on every request
/// ends as those of a cancelled task do. Around each request a hook runs, in which a test lets programs work.
final class CrashingStore: ObjectStore {
    private struct State {
        var requestsLeft: Int?
        var diesAfterEffect = false
        var isDead = false
    }

    private let base: any ObjectStore
    private let state = Mutex(State())
    private let hook: @Sendable () -> Void

    init(_ base: any ObjectStore, hook: @escaping @Sendable () -> Void = {}) {
        self.base = base
        self.hook = hook
    }

    var isDead: Bool { state.withLock { $0.isDead } }

    /// The process dies at the request after `count` more.
    func die(after count: Int, afterEffect: Bool) {
        state.withLock { $0 = State(requestsLeft: count, diesAfterEffect: afterEffect) }
    }

    private func perform<Answer: Sendable>(
        _ request: () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        hook()
        let (passes, answers) = state.withLock { state -> (Bool, Bool) in
            if state.isDead { return (false, false) }
            guard let left = state.requestsLeft else { return (true, true) }
            state.requestsLeft = left - 1
            state.isDead = left <= 0
            return (!state.isDead || state.diesAfterEffect, !state.isDead)
        }
        guard passes else { throw Self.dead }
        let result: Result<Answer, StoreError>
        do { result = .success(try await request()) } catch { result = .failure(error) }
        guard answers else { throw Self.dead }
        hook()
        return try result.get()
    }

    private static let dead = StoreError(.cancelled, message: "the process died")

    var multipartLimits: MultipartLimits { base.multipartLimits }

    func head(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo {
        try await perform { () async throws(StoreError) in try await base.head(key) }
    }

    func get(
        _ key: ObjectKey,
        range: Range<Int64>?,
        ifMatch: ETag?,
        into sink: any ByteSink
    ) async throws(StoreError) -> ObjectInfo {
        try await perform { () async throws(StoreError) in
            try await base.get(key, range: range, ifMatch: ifMatch, into: sink)
        }
    }

    func put(
        _ key: ObjectKey,
        body: any ByteSource,
        metadata: [String: String],
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await perform { () async throws(StoreError) in
            try await base.put(key, body: body, metadata: metadata, condition: condition)
        }
    }

    func list(
        prefix: String,
        delimiter: String?,
        continuation: String?,
        limit: Int
    ) async throws(StoreError) -> ListPage {
        try await perform { () async throws(StoreError) in
            try await base.list(prefix: prefix, delimiter: delimiter, continuation: continuation, limit: limit)
        }
    }

    func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        try await perform { () async throws(StoreError) in try await base.delete(key, ifMatch: ifMatch) }
    }

    func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] {
        try await perform { () async throws(StoreError) in try await base.delete(keys) }
    }

    func copy(
        from source: ObjectKey,
        sourceETag: ETag,
        to destination: ObjectKey,
        metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await perform { () async throws(StoreError) in
            try await base.copy(
                from: source,
                sourceETag: sourceETag,
                to: destination,
                metadata: metadata,
                condition: condition
            )
        }
    }

    func createMultipartUpload(
        _ key: ObjectKey,
        metadata: [String: String]
    ) async throws(StoreError) -> UploadID {
        try await perform { () async throws(StoreError) in
            try await base.createMultipartUpload(key, metadata: metadata)
        }
    }

    func uploadPart(
        _ key: ObjectKey,
        upload: UploadID,
        number: Int,
        body: any ByteSource
    ) async throws(StoreError) -> UploadedPart {
        try await perform { () async throws(StoreError) in
            try await base.uploadPart(key, upload: upload, number: number, body: body)
        }
    }

    func copyPart(
        from source: ObjectKey,
        sourceETag: ETag,
        range: Range<Int64>,
        to key: ObjectKey,
        upload: UploadID,
        number: Int
    ) async throws(StoreError) -> UploadedPart {
        try await perform { () async throws(StoreError) in
            try await base.copyPart(
                from: source,
                sourceETag: sourceETag,
                range: range,
                to: key,
                upload: upload,
                number: number
            )
        }
    }

    func listParts(_ key: ObjectKey, upload: UploadID) async throws(StoreError) -> [UploadedPart] {
        try await perform { () async throws(StoreError) in try await base.listParts(key, upload: upload) }
    }

    func completeMultipartUpload(
        _ key: ObjectKey,
        upload: UploadID,
        parts: [UploadedPart],
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await perform { () async throws(StoreError) in
            try await base.completeMultipartUpload(key, upload: upload, parts: parts, condition: condition)
        }
    }

    func openMultipartUploads(of key: ObjectKey) async throws(StoreError) -> [UploadID] {
        try await perform { () async throws(StoreError) in try await base.openMultipartUploads(of: key) }
    }

    func abortMultipartUpload(_ key: ObjectKey, upload: UploadID) async throws(StoreError) {
        try await perform { () async throws(StoreError) in try await base.abortMultipartUpload(key, upload: upload) }
    }
}

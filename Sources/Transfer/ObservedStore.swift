import ObjectStore

/// Tells a ``LinkMonitor`` the outcome of every request to a store, and lets it end those that give no sign of life.
public struct ObservedStore: ObjectStore {
    private let base: any ObjectStore
    private let link: LinkMonitor

    public init(_ base: any ObjectStore, link: LinkMonitor) {
        self.base = base
        self.link = link
    }

    public var multipartLimits: MultipartLimits { base.multipartLimits }

    private func observe<Answer: Sendable>(
        _ request: @escaping @Sendable (RequestWatch?) async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        do {
            let answer = link.watches ? try await watched(request) : try await request(nil)
            link.record(nil)
            return answer
        } catch {
            link.record(error)
            throw error
        }
    }

    /// In a task of its own, which the link may end; on the caller's thread as far as it goes.
    private func watched<Answer: Sendable>(
        _ request: @escaping @Sendable (RequestWatch?) async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        let watch = link.makeWatch()
        let task = Task.immediate { () async -> Result<Answer, StoreError> in
            do throws(StoreError) { return .success(try await request(watch)) } catch { return .failure(error) }
        }
        watch.onGivingUp { task.cancel() }
        link.watch(watch)
        defer { link.forget(watch) }
        let result = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        if case .failure(let error) = result, error.kind == .cancelled, watch.isGivenUp, !Task.isCancelled {
            throw StoreError(.unreachable, message: "no sign of life from the store")
        }
        return try result.get()
    }

    public func head(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo {
        try await observe { [base] (_) async throws(StoreError) in try await base.head(key) }
    }

    public func get(
        _ key: ObjectKey,
        range: Range<Int64>?,
        ifMatch: ETag?,
        into sink: any ByteSink
    ) async throws(StoreError) -> ObjectInfo {
        try await observe { [base] (watch) async throws(StoreError) in
            let sink: any ByteSink = watch.map { WatchedSink(base: sink, watch: $0) } ?? sink
            return try await base.get(key, range: range, ifMatch: ifMatch, into: sink)
        }
    }

    public func put(
        _ key: ObjectKey,
        body: any ByteSource,
        metadata: [String: String],
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await observe { [base] (watch) async throws(StoreError) in
            let body: any ByteSource = watch.map { WatchedSource(base: body, watch: $0) } ?? body
            return try await base.put(key, body: body, metadata: metadata, condition: condition)
        }
    }

    public func list(
        prefix: String,
        delimiter: String?,
        continuation: String?,
        limit: Int
    ) async throws(StoreError) -> ListPage {
        try await observe { [base] (_) async throws(StoreError) in
            try await base.list(prefix: prefix, delimiter: delimiter, continuation: continuation, limit: limit)
        }
    }

    public func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        try await observe { [base] (_) async throws(StoreError) in try await base.delete(key, ifMatch: ifMatch) }
    }

    public func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] {
        try await observe { [base] (_) async throws(StoreError) in try await base.delete(keys) }
    }

    public func copy(
        from source: ObjectKey,
        sourceETag: ETag,
        to destination: ObjectKey,
        metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await observe { [base] (_) async throws(StoreError) in
            try await base.copy(
                from: source,
                sourceETag: sourceETag,
                to: destination,
                metadata: metadata,
                condition: condition
            )
        }
    }

    public func createMultipartUpload(
        _ key: ObjectKey,
        metadata: [String: String]
    ) async throws(StoreError) -> UploadID {
        try await observe { [base] (_) async throws(StoreError) in
            try await base.createMultipartUpload(key, metadata: metadata)
        }
    }

    public func uploadPart(
        _ key: ObjectKey,
        upload: UploadID,
        number: Int,
        body: any ByteSource
    ) async throws(StoreError) -> UploadedPart {
        try await observe { [base] (watch) async throws(StoreError) in
            let body: any ByteSource = watch.map { WatchedSource(base: body, watch: $0) } ?? body
            return try await base.uploadPart(key, upload: upload, number: number, body: body)
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
        try await observe { [base] (_) async throws(StoreError) in
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

    public func listParts(_ key: ObjectKey, upload: UploadID) async throws(StoreError) -> [UploadedPart] {
        try await observe { [base] (_) async throws(StoreError) in try await base.listParts(key, upload: upload) }
    }

    public func completeMultipartUpload(
        _ key: ObjectKey,
        upload: UploadID,
        parts: [UploadedPart],
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await observe { [base] (_) async throws(StoreError) in
            try await base.completeMultipartUpload(key, upload: upload, parts: parts, condition: condition)
        }
    }

    public func openMultipartUploads(of key: ObjectKey) async throws(StoreError) -> [UploadID] {
        try await observe { [base] (_) async throws(StoreError) in try await base.openMultipartUploads(of: key) }
    }

    public func abortMultipartUpload(_ key: ObjectKey, upload: UploadID) async throws(StoreError) {
        try await observe { [base] (_) async throws(StoreError) in
            try await base.abortMultipartUpload(key, upload: upload)
        }
    }
}

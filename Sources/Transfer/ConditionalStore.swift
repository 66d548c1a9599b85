import Logging
import ObjectStore
import Synchronization

/// Keeps conditions on writes working on a store that does not know them, as well as it can be done from outside:
/// asks for the object first, then writes without a condition. Another writer in between is not seen; that is said
/// loudly once.
final class ConditionalStore: ObjectStore {
    private enum Operation: String {
        case put, copy, complete, delete
    }

    private let base: any ObjectStore
    private let logger: Logger
    private let unconditional = Mutex<Set<Operation>>([])

    init(_ base: any ObjectStore, logger: Logger) {
        self.base = base
        self.logger = logger
    }

    var multipartLimits: MultipartLimits { base.multipartLimits }

    func put(
        _ key: ObjectKey,
        body: any ByteSource,
        metadata: [String: String],
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await write(.put, to: key, condition) { (condition) async throws(StoreError) in
            try await base.put(key, body: body, metadata: metadata, condition: condition)
        }
    }

    func copy(
        from source: ObjectKey,
        sourceETag: ETag,
        to destination: ObjectKey,
        metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await write(.copy, to: destination, condition) { (condition) async throws(StoreError) in
            try await base.copy(
                from: source,
                sourceETag: sourceETag,
                to: destination,
                metadata: metadata,
                condition: condition
            )
        }
    }

    func completeMultipartUpload(
        _ key: ObjectKey,
        upload: UploadID,
        parts: [UploadedPart],
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await write(.complete, to: key, condition) { (condition) async throws(StoreError) in
            try await base.completeMultipartUpload(key, upload: upload, parts: parts, condition: condition)
        }
    }

    func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        try await write(.delete, to: key, ifMatch.map { .ifMatch($0) } ?? .none) {
            (condition) async throws(StoreError) in
            if case .ifMatch(let etag) = condition {
                try await base.delete(key, ifMatch: etag)
            } else {
                try await base.delete(key, ifMatch: nil)
            }
        }
    }

    private func write<Answer: Sendable>(
        _ operation: Operation,
        to key: ObjectKey,
        _ condition: WriteCondition,
        _ request: (WriteCondition) async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        if condition != .none, !unconditional.withLock({ $0.contains(operation) }) {
            do {
                return try await request(condition)
            } catch {
                guard error.kind == .unsupported else { throw error }
                remember(operation, error)
            }
        }
        try await check(condition, on: key)
        return try await request(.none)
    }

    private func remember(_ operation: Operation, _ error: StoreError) {
        guard unconditional.withLock({ $0.insert(operation).inserted }) else { return }
        logger.error(
            "the store does not know conditional writes: what others write at the same moment may be overwritten",
            metadata: ["operation": "\(operation.rawValue)", "error": "\(error)"]
        )
    }

    private func check(_ condition: WriteCondition, on key: ObjectKey) async throws(StoreError) {
        guard condition != .none else { return }
        var found: ETag?
        do {
            found = try await base.head(key).etag
        } catch {
            guard error.kind == .notFound else { throw error }
        }
        switch condition {
        case .ifAbsent where found != nil, .ifMatch where found == nil: break
        case .ifMatch(let etag) where found != etag: break
        default: return
        }
        throw StoreError(
            found == nil ? .notFound : .preconditionFailed,
            message: "\(key) is another version now"
        )
    }
}

// MARK: What has no condition

extension ConditionalStore {
    func head(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo { try await base.head(key) }

    func get(
        _ key: ObjectKey,
        range: Range<Int64>?,
        ifMatch: ETag?,
        into sink: any ByteSink
    ) async throws(StoreError) -> ObjectInfo {
        try await base.get(key, range: range, ifMatch: ifMatch, into: sink)
    }

    func list(
        prefix: String,
        delimiter: String?,
        continuation: String?,
        limit: Int
    ) async throws(StoreError) -> ListPage {
        try await base.list(prefix: prefix, delimiter: delimiter, continuation: continuation, limit: limit)
    }

    func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] {
        try await base.delete(keys)
    }

    func createMultipartUpload(_ key: ObjectKey, metadata: [String: String]) async throws(StoreError) -> UploadID {
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

    func abortMultipartUpload(_ key: ObjectKey, upload: UploadID) async throws(StoreError) {
        try await base.abortMultipartUpload(key, upload: upload)
    }
}

import Logging
import ObjectStore
import Synchronization

/// Keeps conditions on writes working on a store that does not know them, as well as it can be done from outside:
/// asks for the object first, then writes without a condition. Another writer in between is not seen; that is said
/// loudly once.
///
/// A store that ignores conditions without a word looks like one that honours them. So the first small new object of a
/// store that is not known yet is followed by writes to it that must be refused; until then, writes are conditional
/// and the store is asked first as well. None of them changes anything where conditions are honoured.
final class ConditionalStore: ForwardingStore {
    typealias Operation = ConditionSupport.Operation

    /// Larger bodies are not sent twice, bytes.
    private static let proofLimit: Int64 = 64 << 10
    /// Of no object: it would be the MD5 of its bytes.
    private static let wrongETag = ETag(String(repeating: "0", count: 32))

    private struct State {
        var support: ConditionSupport
        var isBeingProven = false
    }

    let base: any ObjectStore
    private let logger: Logger
    private let state: Mutex<State>
    private let onLearning: @Sendable (ConditionSupport) -> Void

    /// `onLearning` is told when more is known of the store; called under no lock.
    init(
        _ base: any ObjectStore,
        support: ConditionSupport = .trusted,
        logger: Logger,
        onLearning: @escaping @Sendable (ConditionSupport) -> Void = { _ in }
    ) {
        self.base = base
        self.logger = logger
        self.onLearning = onLearning
        state = Mutex(State(support: support))
    }

    var support: ConditionSupport { state.withLock { $0.support } }

    func put(
        _ key: ObjectKey,
        body: any ByteSource,
        metadata: [String: String],
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        let etag = try await write(.put, to: key, condition) { (condition) async throws(StoreError) in
            try await base.put(key, body: body, metadata: metadata, condition: condition)
        }
        guard condition == .ifAbsent, body.count <= Self.proofLimit, beginProof() else { return etag }
        defer { state.withLock { $0.isBeingProven = false } }
        return try await prove(with: key, body, metadata, etag)
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
        let support = support
        let isMissing = support.missing.contains(operation)
        if condition != .none, !isMissing {
            if !support.isProven { try await check(condition, on: key) }
            do {
                return try await request(condition)
            } catch {
                guard error.kind == .unsupported else { throw error }
                learn { $0.missing.insert(operation) }
            }
        }
        try await check(condition, on: key)
        return try await request(.none)
    }

    private func learn(_ change: (inout ConditionSupport) -> Void) {
        let (before, after) = state.withLock { state in
            let before = state.support
            change(&state.support)
            return (before, state.support)
        }
        guard after != before else { return }
        if after.missing != before.missing, let warning = after.warning { logger.error("\(warning)") }
        onLearning(after)
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

// MARK: Proof

extension ConditionalStore {
    private func beginProof() -> Bool {
        state.withLock { state in
            guard !state.support.isProven, !state.isBeingProven else { return false }
            state.isBeingProven = true
            return true
        }
    }

    /// Tries writes to an object of ours that must be refused; returns its ETag, which changes where they are not.
    private func prove(
        with key: ObjectKey,
        _ body: any ByteSource,
        _ metadata: [String: String],
        _ first: ETag
    ) async throws(StoreError) -> ETag {
        var etag = first
        var missing: Set<Operation> = []
        do {
            etag = try await base.put(key, body: body, metadata: metadata, condition: .ifAbsent)
            missing.formUnion([.put, .complete])
        } catch {
            guard let isHonoured = Self.isHonoured(error) else { return etag }
            if !isHonoured { missing.formUnion([.put, .complete]) }
        }
        do {
            etag = try await base.copy(
                from: key, sourceETag: etag, to: key, metadata: metadata, condition: .ifAbsent)
            missing.insert(.copy)
        } catch {
            guard let isHonoured = Self.isHonoured(error) else { return etag }
            if !isHonoured { missing.insert(.copy) }
        }
        do {
            try await base.delete(key, ifMatch: Self.wrongETag)
            missing.insert(.delete)
            etag = try await base.put(key, body: body, metadata: metadata, condition: .none)
        } catch {
            if missing.contains(.delete) { throw error }
            guard let isHonoured = Self.isHonoured(error) else { return etag }
            if !isHonoured { missing.insert(.delete) }
        }
        learn { support in
            support.missing = missing
            support.isProven = true
        }
        return etag
    }

    /// Whether the store refused for the condition; nil if that cannot be told.
    private static func isHonoured(_ error: StoreError) -> Bool? {
        switch error.kind {
        case .preconditionFailed, .conflict, .notFound: true
        case .unsupported: false
        default: nil
        }
    }
}

import ObjectStore
import Platform
import Synchronization

/// A store that fails, by script or by seeded chance, as networks and servers do; it also counts what is asked of it.
public final class FaultyStore: ObjectStore {
    public enum Operation: Hashable, Sendable, CaseIterable {
        case head, get, put, list, delete, deleteMany, copy, createUpload, uploadPart, copyPart, listParts,
            completeUpload, abortUpload, listUploads
    }

    public enum Fault: Equatable, Sendable {
        /// The request passes.
        case none
        /// Nothing happens in the store.
        case failBefore(StoreError)
        /// The request takes effect and its answer is lost.
        case failAfter(StoreError)
        /// A get delivers so many bytes and breaks off; other operations fail before.
        case breakOff(after: Int64, StoreError)
        /// The request passes after a wait.
        case delay(Duration)
        /// No answer comes: the request ends when it is cancelled.
        case swallow
        /// The connection breaks, and the request takes effect at ``FaultyStore/deliver()``, as it was sent. Of other
        /// operations than put, copy, delete and completeUpload: nothing happens.
        case late

        /// A connection that broke before the request got through.
        public static let unreachable = Fault.failBefore(.faulty)
        public static let lostAnswer = Fault.failAfter(.faulty)
    }

    public struct Get: Equatable, Sendable {
        public let key: ObjectKey
        public let range: Range<Int64>?
    }

    private struct Chance {
        var random: SeededRandom
        var oneIn: Int
    }

    private struct State {
        var scripts: [Operation: [Fault]] = [:]
        var chance: Chance?
        var choice: (@Sendable (Operation) -> Fault)?
        var isOffline = false
        var isSilent = false
        var refusal: StoreError?
        var unconditional: Set<Operation> = []
        var late: [@Sendable () async -> StoreError.Kind?] = []
        var calls: [Operation: Int] = [:]
        var gets: [Get] = []
        var lists: [String] = []
    }

    private let base: any ObjectStore
    private let time: any TimeSource
    private let state = Mutex(State())

    public init(_ base: any ObjectStore, time: any TimeSource = SystemTime()) {
        self.base = base
        self.time = time
    }

    public var multipartLimits: MultipartLimits { base.multipartLimits }

    /// Every request fails at once with `.unreachable` while true.
    public var isOffline: Bool {
        get { state.withLock { $0.isOffline } }
        set { state.withLock { $0.isOffline = newValue } }
    }

    /// Requests that begin while true are swallowed: no answer comes, and they end when they are cancelled.
    public var isSilent: Bool {
        get { state.withLock { $0.isSilent } }
        set { state.withLock { $0.isSilent = newValue } }
    }

    /// Every request fails at once with this while it is not nil.
    public var refusal: StoreError? {
        get { state.withLock { $0.refusal } }
        set { state.withLock { $0.refusal = newValue } }
    }

    /// Of put, copy, delete and completeUpload: those whose conditions are ignored without a word.
    public var unconditional: Set<Operation> {
        get { state.withLock { $0.unconditional } }
        set { state.withLock { $0.unconditional = newValue } }
    }

    /// Carries out the late requests, in order; what the store said to each, nil for a success.
    public func deliver() async -> [StoreError.Kind?] {
        let late = state.withLock { state in
            defer { state.late = [] }
            return state.late
        }
        var answers: [StoreError.Kind?] = []
        for request in late { answers.append(await request()) }
        return answers
    }

    /// What happens to the next calls of an operation, one fault a call; calls after the script pass.
    public func script(_ operation: Operation, _ faults: Fault...) {
        state.withLock { $0.scripts[operation, default: []].append(contentsOf: faults) }
    }

    /// From now on, one in `oneIn` unscripted calls fails, before or after it took effect. Nil ends it.
    public func failAtRandom(oneIn: Int?, seed: UInt64 = 0) {
        state.withLock { $0.chance = oneIn.map { Chance(random: SeededRandom(seed: seed), oneIn: $0) } }
    }

    /// From now on, `choice` says what happens to unscripted calls. Nil ends it.
    public func decide(_ choice: (@Sendable (Operation) -> Fault)?) {
        state.withLock { $0.choice = choice }
    }

    public func calls(_ operation: Operation) -> Int { state.withLock { $0.calls[operation, default: 0] } }

    public var allCalls: Int { state.withLock { $0.calls.values.reduce(0, +) } }

    /// Every get so far, in the order of their starts.
    public var gets: [Get] { state.withLock { $0.gets } }

    /// The prefix of every listing so far, once for each page.
    public var lists: [String] { state.withLock { $0.lists } }

    // MARK: ObjectStore

    public func head(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo {
        try await perform(.head) { () async throws(StoreError) in try await base.head(key) }
    }

    public func get(
        _ key: ObjectKey, range: Range<Int64>?, ifMatch: ETag?, into sink: any ByteSink
    ) async throws(StoreError) -> ObjectInfo {
        state.withLock { $0.gets.append(Get(key: key, range: range)) }
        let fault = next(.get)
        if case .breakOff(let count, let error) = fault {
            do {
                _ = try await base.get(key, range: range, ifMatch: ifMatch, into: BreakingSink(sink, after: count))
            } catch {
                guard error.kind == .localFault else { throw error }
            }
            throw error
        }
        return try await suffer(fault) { () async throws(StoreError) in
            try await base.get(key, range: range, ifMatch: ifMatch, into: sink)
        }
    }

    public func put(
        _ key: ObjectKey, body: any ByteSource, metadata: [String: String], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        let condition = effective(condition, of: .put)
        let fault = next(.put)
        if fault == .late {
            let body = try MemoryByteSource(copying: body)
            throw keep { [base] in
                _ = try await base.put(key, body: body, metadata: metadata, condition: condition)
            }
        }
        return try await suffer(fault) { () async throws(StoreError) in
            try await base.put(key, body: body, metadata: metadata, condition: condition)
        }
    }

    public func list(
        prefix: String, delimiter: String?, continuation: String?, limit: Int
    ) async throws(StoreError) -> ListPage {
        state.withLock { $0.lists.append(prefix) }
        return try await perform(.list) { () async throws(StoreError) in
            try await base.list(prefix: prefix, delimiter: delimiter, continuation: continuation, limit: limit)
        }
    }

    public func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        let ifMatch = unconditional.contains(.delete) ? nil : ifMatch
        let fault = next(.delete)
        if fault == .late { throw keep { [base] in try await base.delete(key, ifMatch: ifMatch) } }
        try await suffer(fault) { () async throws(StoreError) in try await base.delete(key, ifMatch: ifMatch) }
    }

    public func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] {
        try await perform(.deleteMany) { () async throws(StoreError) in try await base.delete(keys) }
    }

    public func copy(
        from source: ObjectKey, sourceETag: ETag, to destination: ObjectKey, metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        let condition = effective(condition, of: .copy)
        let fault = next(.copy)
        if fault == .late {
            throw keep { [base] in
                _ = try await base.copy(
                    from: source, sourceETag: sourceETag, to: destination, metadata: metadata, condition: condition)
            }
        }
        return try await suffer(fault) { () async throws(StoreError) in
            try await base.copy(
                from: source, sourceETag: sourceETag, to: destination, metadata: metadata, condition: condition)
        }
    }

    public func createMultipartUpload(
        _ key: ObjectKey, metadata: [String: String]
    ) async throws(StoreError) -> UploadID {
        try await perform(.createUpload) { () async throws(StoreError) in
            try await base.createMultipartUpload(key, metadata: metadata)
        }
    }

    public func uploadPart(
        _ key: ObjectKey, upload: UploadID, number: Int, body: any ByteSource
    ) async throws(StoreError) -> UploadedPart {
        try await perform(.uploadPart) { () async throws(StoreError) in
            try await base.uploadPart(key, upload: upload, number: number, body: body)
        }
    }

    public func copyPart(
        from source: ObjectKey, sourceETag: ETag, range: Range<Int64>, to key: ObjectKey, upload: UploadID,
        number: Int
    ) async throws(StoreError) -> UploadedPart {
        try await perform(.copyPart) { () async throws(StoreError) in
            try await base.copyPart(
                from: source, sourceETag: sourceETag, range: range, to: key, upload: upload, number: number)
        }
    }

    public func listParts(_ key: ObjectKey, upload: UploadID) async throws(StoreError) -> [UploadedPart] {
        try await perform(.listParts) { () async throws(StoreError) in
            try await base.listParts(key, upload: upload)
        }
    }

    public func completeMultipartUpload(
        _ key: ObjectKey, upload: UploadID, parts: [UploadedPart], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        let condition = effective(condition, of: .completeUpload)
        let fault = next(.completeUpload)
        if fault == .late {
            throw keep { [base] in
                _ = try await base.completeMultipartUpload(key, upload: upload, parts: parts, condition: condition)
            }
        }
        return try await suffer(fault) { () async throws(StoreError) in
            try await base.completeMultipartUpload(key, upload: upload, parts: parts, condition: condition)
        }
    }

    public func openMultipartUploads(of key: ObjectKey) async throws(StoreError) -> [UploadID] {
        try await perform(.listUploads) { () async throws(StoreError) in
            try await base.openMultipartUploads(of: key)
        }
    }

    public func abortMultipartUpload(_ key: ObjectKey, upload: UploadID) async throws(StoreError) {
        try await perform(.abortUpload) { () async throws(StoreError) in
            try await base.abortMultipartUpload(key, upload: upload)
        }
    }

    // MARK: Faults

    private func effective(_ condition: WriteCondition, of operation: Operation) -> WriteCondition {
        unconditional.contains(operation) ? .none : condition
    }

    /// Keeps a request for ``deliver()`` and breaks its connection.
    private func keep(_ request: @escaping @Sendable () async throws -> Void) -> StoreError {
        state.withLock { state in
            state.late.append {
                do { try await request() } catch { return (error as? StoreError)?.kind }
                return nil
            }
        }
        return .faulty
    }

    private func perform<Answer: Sendable>(
        _ operation: Operation, _ request: () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        try await suffer(next(operation), request)
    }

    private func suffer<Answer: Sendable>(
        _ fault: Fault, _ request: () async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        switch fault {
        case .none: break
        case .failBefore(let error), .breakOff(_, let error): throw error
        case .late: throw .faulty
        case .failAfter(let error):
            _ = try await request()
            throw error
        case .delay(let duration):
            do {
                try await time.sleep(for: duration)
            } catch {
                throw Self.cancelled
            }
        case .swallow:
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
            throw Self.cancelled
        }
        return try await request()
    }

    private static let cancelled = StoreError(.cancelled, message: "the request was cancelled")

    private func next(_ operation: Operation) -> Fault {
        state.withLock { state in
            state.calls[operation, default: 0] += 1
            if state.isOffline { return .unreachable }
            if state.isSilent { return .swallow }
            if let refusal = state.refusal { return .failBefore(refusal) }
            if let scripted = state.scripts[operation]?.first {
                state.scripts[operation]?.removeFirst()
                return scripted
            }
            if let choice = state.choice { return choice(operation) }
            guard var chance = state.chance else { return .none }
            defer { state.chance = chance }
            guard chance.random.oneIn(chance.oneIn) else { return .none }
            return Bool.random(using: &chance.random) ? .unreachable : .lostAnswer
        }
    }
}

extension StoreError {
    /// What a ``FaultyStore`` throws when a test names nothing else.
    public static let faulty = StoreError(.unreachable, message: "the connection broke (by a test)")
}

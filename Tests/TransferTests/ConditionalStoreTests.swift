import Logging
import ObjectStore
import TestKit
import Testing

@testable import Transfer

/// Stores that do not honour conditions on writes are found out, and asked before each write.
@Suite struct ConditionalStoreTests {
    private let bucket = MemoryStore(multipartLimits: .small)
    private let faults: FaultyStore
    private let key = ObjectKey("file")
    private let learned = Learned()

    /// SAFETY: each test works in one task.
    private final class Learned: @unchecked Sendable {
        var all: [ConditionSupport] = []
    }

    init() { faults = FaultyStore(bucket) }

    private func store(_ support: ConditionSupport = .unknown) -> ConditionalStore {
        let learned = learned
        return ConditionalStore(
            faults, support: support, logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        ) { learned.all.append($0) }
    }

    private func put(
        _ text: String, at key: ObjectKey? = nil, _ condition: WriteCondition = .ifAbsent, in store: ConditionalStore
    ) async throws -> ETag {
        try await store.put(
            key ?? self.key, body: MemoryByteSource(Array(text.utf8)), metadata: ["a": "b"], condition: condition)
    }

    @Test func aStoreThatHonoursConditionsIsProvenOnceAndLeftAsItWas() async throws {
        let store = store()
        let etag = try await put("content", in: store)
        #expect(store.support == .trusted && store.support.warning == nil && learned.all == [.trusted])
        #expect(bucket.text("file") == "content" && bucket.info(key)?.etag == etag)
        #expect(bucket.info(key)?.metadata == ["a": "b"] && bucket.keys == [key])
        let calls = faults.allCalls
        _ = try await put("content", at: ObjectKey("second"), in: store)
        #expect(faults.allCalls == calls + 1)
    }

    @Test(arguments: [FaultyStore.Operation.put, .copy, .delete])
    func conditionsThatAreIgnoredAreFoundOutByTheFirstSmallObject(_ operation: FaultyStore.Operation) async throws {
        faults.unconditional = [operation]
        let missing: Set<ConditionSupport.Operation> =
            switch operation {
            case .put: [.put, .complete]
            case .copy: [.copy]
            default: [.delete]
            }
        let store = store()
        let etag = try await put("content", in: store)
        #expect(store.support.missing == missing && learned.all.last == store.support)
        for name in missing.map(\.rawValue) { #expect(store.support.warning?.contains(name) == true) }
        #expect(bucket.text("file") == "content" && bucket.info(key)?.etag == etag)
        #expect(bucket.info(key)?.metadata == ["a": "b"] && bucket.keys == [key])
    }

    @Test func aStoreThatIgnoresConditionsIsAskedBeforeEachWrite() async throws {
        faults.unconditional = [.put, .copy, .delete, .completeUpload]
        let store = store()
        let etag = try await put("ours", in: store)
        bucket.set(key, Array("theirs".utf8))
        bucket.set(ObjectKey("other"), Array("theirs".utf8))
        await #expect(throws: StoreError.self) { try await put("ours again", .ifMatch(etag), in: store) }
        await #expect(throws: StoreError.self) { try await put("ours", at: ObjectKey("other"), in: store) }
        await #expect(throws: StoreError.self) { try await store.delete(key, ifMatch: etag) }
        let theirs = try #require(bucket.info(key)).etag
        await #expect(throws: StoreError.self) {
            try await store.copy(
                from: key, sourceETag: theirs, to: ObjectKey("other"), metadata: nil, condition: .ifAbsent)
        }
        #expect(bucket.text("file") == "theirs" && bucket.text("other") == "theirs")
    }

    /// Before the first small object nothing is known.
    @Test func aStoreThatIsNotKnownYetIsAskedAsWell() async throws {
        faults.unconditional = [.put]
        let store = store()
        bucket.set(key, Array("theirs".utf8))
        await #expect(throws: StoreError.self) { try await put("ours", in: store) }
        let long = String(repeating: "x", count: 60)
        await #expect(throws: StoreError.self) { try await put(long, .ifMatch(ETag("gone")), in: store) }
        #expect(bucket.text("file") == "theirs" && !store.support.isProven)
    }

    @Test func whatIsKnownOutlivesTheProcess() {
        var ignoring = ConditionSupport.trusted
        ignoring.missing = [.put, .delete]
        let read = ConditionSupport(text: ignoring.text)
        #expect(read.missing == ignoring.missing && !read.isProven, "shown at once, and tried again")
        #expect(ConditionSupport(text: ConditionSupport.trusted.text) == .trusted)
        #expect(ConditionSupport(text: "") == .unknown)
    }

    @Test func anAnswerThatIsLostDuringTheProofLeavesItForTheNextObject() async throws {
        let store = store()
        faults.script(.copy, .unreachable)
        _ = try await put("content", in: store)
        #expect(!store.support.isProven && learned.all.isEmpty)
        _ = try await put("content", at: ObjectKey("second"), in: store)
        #expect(store.support == .trusted)
    }
}

import ObjectStore
import TestKit
import Testing

@testable import Transfer

/// A request whose connection broke may take effect later: it never replaces what is newer.
@Suite struct LateRequestTests {
    private let bucket = MemoryStore(multipartLimits: .small)
    private let faults: FaultyStore
    private let machine: LocalMachine
    private static let long = String(repeating: "0123456789", count: 7)

    init() throws {
        faults = FaultyStore(bucket)
        machine = try LocalMachine(store: faults)
    }

    private func drain() async throws { #expect(try await machine.drain(), "write-back does not come to rest") }

    /// The next request of an operation breaks, and takes effect when the test says so.
    private func breakOff(_ operation: FaultyStore.Operation) async throws {
        faults.script(operation, .late)
        await #expect(throws: StoreError.self) { try await machine.drain() }
    }

    private func expectLocalTree() throws {
        #expect(bucket.tree == machine.expectedObjects)
        #expect(try machine.events(.conflict) == [])
    }

    @Test(arguments: ["short", LateRequestTests.long], [false, true])
    func anUploadOfANewFileDoesNotReplaceItsNewerVersion(_ text: String, isOverwritten: Bool) async throws {
        if isOverwritten {
            try machine.put("file", "old")
            try await drain()
        }
        try machine.put("file", text)
        try await breakOff(text == Self.long ? .completeUpload : .put)
        try machine.put("file", text + " and newer")
        try await drain()
        let answers = await faults.deliver()
        #expect(answers == [text == Self.long ? .noSuchUpload : .preconditionFailed])
        #expect(bucket.text("file") == text + " and newer")
        try await drain()
        try expectLocalTree()
    }

    @Test func anUploadThatTookEffectBeforeTheRetryIsKnownAsOurs() async throws {
        try machine.put("file", "content")
        try await breakOff(.put)
        #expect(await faults.deliver() == [nil])
        try machine.put("file", "newer")
        try await drain()
        try expectLocalTree()
    }

    @Test func anUploadDoesNotReplaceWhatSomebodyElseWroteSince() async throws {
        try machine.put("file", "old")
        try await drain()
        try machine.put("file", "ours")
        try await breakOff(.put)
        bucket.set(ObjectKey("file"), Array("theirs".utf8))
        #expect(await faults.deliver() == [.preconditionFailed])
        try await drain()
        #expect(bucket.text("file") == "theirs" && bucket.keys.count == 2)
        #expect(try machine.events(.conflict).count == 1)
    }

    @Test func aDeletionDoesNotTakeWhatWasWrittenSince() async throws {
        try machine.put("file", "old")
        try await drain()
        try machine.remove("file")
        try await breakOff(.delete)
        try machine.put("file", "newer")
        try await drain()
        #expect(await faults.deliver() == [.preconditionFailed])
        try expectLocalTree()
    }

    @Test func aMoveDoesNotReplaceWhatWasWrittenSince() async throws {
        try machine.put("file", "old")
        try await drain()
        try machine.rename("file", to: "moved")
        try await breakOff(.copy)
        try machine.put("moved", "newer")
        try await drain()
        let answers = await faults.deliver()
        #expect(answers == [.preconditionFailed] || answers == [.notFound])
        try expectLocalTree()
    }
}

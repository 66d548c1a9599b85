import Cache
import ObjectStore
import TestKit
import Testing

@testable import Transfer

/// Of a large object, what did not change is copied on the server.
@Suite struct UnchangedPartsTests {
    let bucket: MemoryStore
    let faults: FaultyStore
    let machine: LocalMachine
    private let part = 256 << 10

    init() throws {
        bucket = MemoryStore(
            multipartLimits: MultipartLimits(
                minimumPartSize: 256 << 10, maximumPartSize: 8 << 20, maximumPartCount: 1000))
        faults = FaultyStore(bucket)
        machine = try LocalMachine(store: faults)
    }

    private func drain() async throws {
        #expect(try await machine.drain(), "write-back does not come to rest")
        #expect(bucket.tree == machine.expectedObjects)
        #expect(bucket.openUploads == 0)
    }

    private func putLarge() async throws {
        try machine.put("file", (0..<8 * part + 100).map { UInt8(truncatingIfNeeded: $0 / 1000) })
        try await drain()
        #expect(faults.calls(.uploadPart) == 9 && faults.calls(.copyPart) == 0)
    }

    private func change(_ bytes: [UInt8], at offset: Int) throws {
        try machine.open("file")
        try machine.write(bytes, at: offset, through: "file")
        machine.close("file")
    }

    @Test(arguments: [false, true])
    func aSmallChangeCostsOnePart(dies: Bool) async throws {
        try await putLarge()
        try change([1, 2, 3], at: 3 * part + 5)
        if dies { try machine.restart() }
        try await drain()
        #expect(faults.calls(.uploadPart) == 9 + 1 && faults.calls(.copyPart) == 8)
        // What is known of it is of the object that is there now.
        try change([4], at: 0)
        try await drain()
        #expect(faults.calls(.uploadPart) == 9 + 2 && faults.calls(.copyPart) == 16)
    }

    @Test func whatIsAppendedCostsTheLastPart() async throws {
        try await putLarge()
        try change([1, 2, 3], at: 8 * part + 100)
        try await drain()
        #expect(faults.calls(.uploadPart) == 9 + 1 && faults.calls(.copyPart) == 8)
    }

    @Test func whatIsWrittenAnewIsSentWhereItDiffers() async throws {
        try await putLarge()
        var bytes = machine.model["file"]?.bytes ?? []
        bytes[part] ^= 1
        try machine.put("file", bytes)
        try await drain()
        #expect(faults.calls(.uploadPart) == 9 + 1)
        try machine.put("file", [UInt8](repeating: 1, count: 8 * part))
        try await drain()
        #expect(faults.calls(.uploadPart) == 9 + 1 + 8)
    }

    @Test func aStoreThatCannotCopyGetsAllPartsAndIsAskedOnce() async throws {
        try await putLarge()
        faults.script(.copyPart, .failBefore(StoreError(.unsupported, message: "by a test")))
        for round in 1...2 {
            try change([UInt8(round)], at: 0)
            try await drain()
            #expect(faults.calls(.uploadPart) == 9 + 9 * round && faults.calls(.copyPart) == 1)
        }
    }

    @Test func aFailureIsNoReasonToSendAll() async throws {
        try await putLarge()
        try change([1], at: 0)
        faults.script(.copyPart, .none, .unreachable)
        await #expect(throws: StoreError.self) { try await machine.reconcile("file") }
        try await drain()
        #expect(faults.calls(.uploadPart) == 9 + 1 && faults.calls(.copyPart) == 9)
    }

    @Test func anObjectThatSomebodyReplacedIsKeptBesideTheChangedOne() async throws {
        try await putLarge()
        try change([1], at: 0)
        let mine = machine.model["file"]?.bytes
        bucket.set(ObjectKey("file"), Array("theirs".utf8))
        #expect(try await machine.drain())
        #expect(bucket.text("file") == "theirs")
        let copy = try #require(bucket.keys.first { $0.string.contains(".conflict-") })
        #expect(bucket.bytes(copy) == mine)
    }
}

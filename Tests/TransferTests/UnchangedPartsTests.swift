import Cache
import ObjectStore
import TestKit
import Testing

@testable import Transfer

/// Of a large object, what did not change is copied on the server.
@Suite struct UnchangedPartsTests {
    let bucket: MemoryStore
    let faults: FaultyStore
    let hook = WritebackScenarioTests.Hook()
    let machine: LocalMachine
    private let part = 256 << 10

    init() throws {
        bucket = MemoryStore(
            multipartLimits: MultipartLimits(
                minimumPartSize: 256 << 10, maximumPartSize: 8 << 20, maximumPartCount: 1000))
        faults = FaultyStore(bucket)
        let hook = hook
        machine = try LocalMachine(
            store: CrashingStore(faults) {
                do { try hook.call() } catch { Issue.record(error) }
            })
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

    /// As after a `sluice sync`, or when it lay still for a while.
    @Test(arguments: [false, true])
    func whatIsAppendedToAFileThatIsOpenCostsTheLastPart(whileItIsSent: Bool) async throws {
        try machine.open("file")
        try machine.write([UInt8](repeating: 5, count: 8 * part), at: 0, through: "file")
        let append = { [machine] in
            try machine.write([6], at: machine.model["file"]?.bytes.count ?? 0, through: "file")
        }
        if whileItIsSent { hook.call = append }
        _ = try await machine.reconcile("file", isUrgent: true)
        hook.call = {}
        try append()
        machine.close("file")
        try await drain()
        #expect(faults.calls(.uploadPart) == 8 + 1 && faults.calls(.copyPart) == 8)
    }

    /// Else the object would keep what was there before, under a checksum of what came after.
    @Test func whatIsWrittenWhileItsPartIsCopiedIsSent() async throws {
        try await putLarge()
        try change([1], at: 0)
        hook.call = {
            guard faults.calls(.copyPart) > 0 else { return }
            hook.call = {}
            for number in 1..<8 { try change([9], at: number * part) }
        }
        _ = try await machine.reconcile("file")
        try await drain()
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

    // MARK: Files of which little is local

    /// An object that nobody has read here.
    private func listLarge() throws -> [UInt8] {
        let bytes = (0..<8 * part + 100).map { UInt8(truncatingIfNeeded: $0 / 1000) }
        let etag = bucket.set(ObjectKey("cold"), bytes)
        try machine.insertRemote("cold", etag: etag, size: Int64(bytes.count))
        return bytes
    }

    private func bytes(of path: String) async throws -> [UInt8] {
        let number = try #require(try machine.inode(path)).number
        let file = try machine.cache.acquire(number)
        defer { machine.cache.release(file) }
        try await LocalMachine.fetch(file, 0..<file.status.size, from: faults)
        return try [UInt8](unsafeUninitializedCapacity: Int(file.status.size)) { buffer, count in
            count = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
        }
    }

    @Test(arguments: [false, true], [0, 100_000])
    func aSmallChangeOfAnObjectThatIsNotLocalFetchesAndSendsOnePart(dies: Bool, growth: Int) async throws {
        var expected = try listLarge()
        try machine.open("cold")
        try machine.write([1, 2, 3], at: 3 * part + 5, through: "cold")
        expected.replaceSubrange(3 * part + 5..<3 * part + 8, with: [1, 2, 3])
        if growth > 0 {
            try machine.write([9], at: expected.count + growth, through: "cold")
            expected += [UInt8](repeating: 0, count: growth) + [9]
        }
        machine.close("cold")
        if dies { try machine.restart() }
        #expect(try await machine.drain())
        #expect(bucket.bytes(ObjectKey("cold")) == expected)
        let parts = growth > 0 ? 2 : 1
        #expect(faults.calls(.uploadPart) == parts && faults.calls(.copyPart) == 9 - parts)
        #expect(faults.gets.reduce(0) { $0 + ($1.range.map { Int($0.count) } ?? .max >> 1) } <= parts * part)
        if dies { try machine.restart() }
        #expect(try machine.inode("cold")?.local == .partial)
        #expect(try await bytes(of: "cold") == expected)
    }

    /// As a program does that looks at the head of a file before it changes a record in the middle.
    @Test(arguments: [false, true])
    func whatWasReadBeforeIsNeitherFetchedAsAWholeNorSent(isFlushed: Bool) async throws {
        var expected = try listLarge()
        try machine.open("cold")
        let file = try machine.cache.acquire(#require(try machine.inode("cold")).number)
        for start in [0, Int64(6 * part)] {
            try await LocalMachine.fetch(file, start..<start + 1000, from: faults)
        }
        machine.cache.release(file)
        let fetched = faults.gets.count
        try machine.write([1, 2, 3], at: 3 * part + 5, through: "cold")
        expected.replaceSubrange(3 * part + 5..<3 * part + 8, with: [1, 2, 3])
        machine.close("cold")
        // The file is closed for good then, before it is sent.
        if isFlushed { try machine.cache.flush() }
        #expect(try await machine.drain())
        #expect(bucket.bytes(ObjectKey("cold")) == expected)
        #expect(faults.calls(.uploadPart) == 1 && faults.calls(.copyPart) == 8)
        #expect(faults.gets.dropFirst(fetched).reduce(0) { $0 + ($1.range.map { Int($0.count) } ?? .max >> 1) } <= part)
        #expect(try await bytes(of: "cold") == expected)
    }

    @Test func itIsChangedAgainAndAgain() async throws {
        var expected = try listLarge()
        for round in 0..<5 {
            try machine.open("cold")
            let offset = (round * 3 % 8) * part + 7
            try machine.write([UInt8(round), 77], at: offset, through: "cold")
            expected.replaceSubrange(offset..<offset + 2, with: [UInt8(round), 77])
            if round == 2 {
                try machine.truncate("cold", to: 6 * part)
                expected = Array(expected.prefix(6 * part))
            }
            if round == 3 {
                try machine.truncate("cold", to: 7 * part)
                expected += [UInt8](repeating: 0, count: part)
            }
            machine.close("cold")
            if round % 2 == 0 { try machine.restart() }
            #expect(try await machine.drain())
            #expect(bucket.bytes(ObjectKey("cold")) == expected, "round \(round)")
        }
        #expect(try await bytes(of: "cold") == expected)
    }

    @Test func aStoreThatCannotCopyMakesItLocal() async throws {
        var expected = try listLarge()
        faults.script(.copyPart, .failBefore(StoreError(.unsupported, message: "by a test")))
        try machine.open("cold")
        try machine.write([1], at: 5, through: "cold")
        expected[5] = 1
        machine.close("cold")
        #expect(try await machine.drain())
        #expect(bucket.bytes(ObjectKey("cold")) == expected)
        #expect(faults.calls(.uploadPart) == 9 && faults.calls(.copyPart) == 1)
    }

    @Test func aConflictOnTheWayKeepsBothWhole() async throws {
        var expected = try listLarge()
        try machine.open("cold")
        try machine.write([1], at: 5, through: "cold")
        expected[5] = 1
        machine.close("cold")
        // The bytes that are missing are those of a version that is still there under another name of ours.
        try machine.rename("cold", to: "moved")
        bucket.set(ObjectKey("moved"), Array("theirs".utf8))
        #expect(try await machine.drain())
        #expect(bucket.text("moved") == "theirs")
        let copy = try #require(bucket.keys.first { $0.string.contains(".conflict-") })
        #expect(bucket.bytes(copy) == expected)
    }
}

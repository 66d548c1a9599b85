import Cache
import ObjectStore
import TestKit
import Testing

@testable import Transfer

/// What is sent of files that programs have open for writing.
@Suite struct StreamingTests {
    let bucket: MemoryStore
    let faults: FaultyStore
    let machine: LocalMachine

    init() throws {
        bucket = MemoryStore(multipartLimits: .small)
        faults = FaultyStore(bucket)
        machine = try LocalMachine(store: faults)
    }

    /// Appends to an open file, made if there is none.
    private func append(_ count: Int, to path: String) throws {
        try machine.open(path)
        let size = machine.model[path]?.bytes.count ?? 0
        try machine.write((size..<size + count).map { UInt8(truncatingIfNeeded: $0) }, at: size, through: path)
    }

    private func drain() async throws {
        #expect(try await machine.drain(), "write-back does not come to rest")
        #expect(bucket.tree == machine.expectedObjects)
        #expect(bucket.openUploads == 0)
    }

    @Test func fullPartsGoAheadAndTheCloseSendsTheRest() async throws {
        try append(24, to: "log")
        #expect(try await machine.reconcile("log") == .grows(24))
        #expect(faults.allCalls == 0, "a small file may go in one request")
        try append(6, to: "log")
        #expect(try await machine.reconcile("log") == .grows(31))
        #expect(faults.calls(.uploadPart) == 3)
        try append(14, to: "log")
        #expect(try await machine.reconcile("log") == .grows(47))
        #expect(faults.calls(.uploadPart) == 5)
        #expect(bucket.keys.isEmpty, "nobody sees a file that is not whole")
        machine.close("log")
        #expect(try await machine.reconcile("log") == .done)
        #expect(faults.calls(.uploadPart) == 6 && faults.calls(.createUpload) == 1 && faults.calls(.copy) == 0)
        try await drain()
    }

    @Test func whatIsWrittenOverLaterIsSentAgainAtTheClose() async throws {
        try append(40, to: "log")
        _ = try await machine.reconcile("log")
        try machine.write([9, 9], at: 2, through: "log")
        _ = try await machine.reconcile("log")
        #expect(faults.calls(.uploadPart) == 5, "it may be written over again")
        machine.close("log")
        try await drain()
        #expect(faults.calls(.uploadPart) == 6)
    }

    @Test func aTemporaryNameGrowsAtTheFinalKey() async throws {
        try append(40, to: "x.bag.active")
        _ = try await machine.reconcile("x.bag.active")
        #expect(try await bucket.openMultipartUploads(of: ObjectKey("x.bag")).count == 1)
        try append(3, to: "x.bag.active")
        machine.close("x.bag.active")
        try machine.rename("x.bag.active", to: "x.bag")
        try await drain()
        #expect(faults.calls(.uploadPart) == 6 && faults.calls(.createUpload) == 1 && faults.calls(.copy) == 0)
    }

    @Test func aTemporaryNameThatStaysIsAFileLikeOthers() async throws {
        try append(40, to: "x.tmp")
        _ = try await machine.reconcile("x.tmp")
        machine.close("x.tmp")
        try await drain()
        #expect(bucket.keys == [ObjectKey("x.tmp")])
    }

    @Test func partsThatAreThereSurviveTheDeathOfTheProcess() async throws {
        try append(40, to: "log")
        _ = try await machine.reconcile("log")
        try append(8, to: "log")
        try machine.restart()
        try await drain()
        #expect(faults.calls(.uploadPart) == 6 && faults.calls(.createUpload) == 1)
    }

    @Test func aFileThatIsDeletedLeavesNothing() async throws {
        try append(40, to: "log")
        _ = try await machine.reconcile("log")
        try machine.remove("log")
        try await drain()
        #expect(bucket.keys.isEmpty)
    }

    @Test func aFileThatIsRenamedOtherwiseBeginsAnew() async throws {
        try append(40, to: "x.tmp")
        _ = try await machine.reconcile("x.tmp")
        try machine.rename("x.tmp", to: "elsewhere")
        _ = try await machine.reconcile("elsewhere")
        #expect(bucket.openUploads == 1 && faults.calls(.abortUpload) == 1)
        machine.close("elsewhere")
        try await drain()
    }

    @Test func whatIsMadeLargeAndFilledLaterIsNotSentAsZeros() async throws {
        try machine.open("array")
        try machine.truncate("array", to: 1 << 12)
        #expect(try await machine.reconcile("array") == .grows(1 << 12))
        #expect(faults.allCalls == 0)
    }

    @Test func aFileThatIsCutEndsAsWhatItIs() async throws {
        try append(40, to: "log")
        _ = try await machine.reconcile("log")
        try machine.truncate("log", to: 10)
        #expect(try await machine.reconcile("log") == .grows(24))
        machine.close("log")
        try await drain()
        #expect(bucket.bytes(ObjectKey("log"))?.count == 10)
    }

    @Test func anUploadThatTheStoreDroppedBeginsAnew() async throws {
        try append(40, to: "log")
        _ = try await machine.reconcile("log")
        for id in try await bucket.openMultipartUploads(of: ObjectKey("log")) {
            try await bucket.abortMultipartUpload(ObjectKey("log"), upload: id)
        }
        try append(8, to: "log")
        #expect(try await machine.reconcile("log") == .grows(24))
        #expect(try await machine.reconcile("log") == .grows(55))
        #expect(faults.calls(.createUpload) == 2)
        machine.close("log")
        try await drain()
    }

    @Test func anOpenFileThatLiesStillGoesAsItIs() async throws {
        try append(30, to: "log")
        _ = try await machine.reconcile("log")
        machine.time.advance(by: .seconds(29))
        #expect(try await machine.reconcile("log") == .grows(31))
        machine.time.advance(by: .seconds(1))
        #expect(try await machine.reconcile("log") == .done)
        #expect(bucket.bytes(ObjectKey("log"))?.count == 30 && bucket.openUploads == 0)
        try append(1, to: "log")
        #expect(try await machine.reconcile("log") == .grows(31))
        #expect(bucket.openUploads == 0, "no part is full behind what is in the bucket")
        machine.close("log")
        try await drain()
    }

    @Test func aFailureKeepsThePartsThatArrived() async throws {
        try append(40, to: "log")
        faults.script(.uploadPart, .none, .none, .unreachable)
        await #expect(throws: StoreError.self) { try await machine.reconcile("log") }
        #expect(try await machine.reconcile("log") == .grows(47))
        #expect(faults.calls(.uploadPart) == 6)
        machine.close("log")
        try await drain()
    }

    // MARK: When

    @Test func filesAreDueWhenTheyGrewByAPartAndOnceWhenTheyLieStill() {
        let (a, b) = (InodeNumber(rawValue: 1), InodeNumber(rawValue: 2))
        func look(_ inode: InodeNumber, _ size: Int64, _ changed: Int) -> GrowthWatch.Look {
            GrowthWatch.Look(inode: inode, size: size, changed: .seconds(changed))
        }
        var watch = GrowthWatch(firstSize: 24, idleDelay: .seconds(30))
        #expect(watch.due([look(a, 24, 1), look(b, 25, 1)], at: .seconds(2)) == [b])
        watch.sent(b, next: 31)
        #expect(watch.due([look(a, 24, 1), look(b, 31, 3)], at: .seconds(4)).isEmpty)
        #expect(watch.due([look(a, 24, 1), look(b, 32, 5)], at: .seconds(31)) == [a, b])
        watch.sent(b, next: 39)
        #expect(watch.due([look(a, 24, 1), look(b, 32, 5)], at: .seconds(33)).isEmpty)
        #expect(watch.due([look(a, 24, 33), look(b, 32, 5)], at: .seconds(63)) == [a, b])
        #expect(watch.due([], at: .seconds(64)).isEmpty)
        #expect(watch.due([look(b, 26, 64)], at: .seconds(65)) == [b], "opened again, it is another file")
    }
}

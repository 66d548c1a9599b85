import Cache
import ObjectStore
import Platform
import TestKit
import Testing

@testable import Transfer

/// What write-back does in single situations, against a bucket that others use as well.
@Suite struct WritebackScenarioTests {
    let bucket: MemoryStore
    let faults: FaultyStore
    let hooked: CrashingStore
    let hook = Hook()
    let machine: LocalMachine

    /// Runs around each request.
    ///
    /// SAFETY: set and called in the task of one test.
    final class Hook: @unchecked Sendable {
        var call: () throws -> Void = {}
    }

    init() throws {
        bucket = MemoryStore(multipartLimits: .small)
        faults = FaultyStore(bucket)
        let hook = hook
        hooked = CrashingStore(faults) {
            do { try hook.call() } catch { Issue.record(error) }
        }
        machine = try LocalMachine(store: hooked)
    }

    private func drain() async throws {
        #expect(try await machine.drain(), "write-back does not come to rest")
    }

    private func expectLocalTree(_ comment: Comment? = nil) throws {
        #expect(bucket.tree == machine.expectedObjects, comment)
        #expect(try machine.events(.conflict) == [], comment)
        #expect(try machine.events(.error) == [], comment)
    }

    private static let long = String(repeating: "0123456789", count: 7)

    // MARK: Content

    @Test func filesLinksAndDirectoriesArriveWithTheirAttributes() async throws {
        try machine.makeDirectory("dir")
        try machine.put("dir/file", "hello")
        try machine.makeLink("dir/link", to: "file")
        try machine.setPermissions("dir/file", 0o600)
        try await drain()
        try expectLocalTree()
        #expect(bucket.keys.map(\.string) == ["dir/", "dir/file", "dir/link"])
        #expect(bucket.text("dir/link") == "file")
        #expect(bucket.info(ObjectKey("dir/file"))?.metadata["mode"] == String(0o100600))
        #expect(bucket.info(ObjectKey("dir/link"))?.metadata["mode"] == String(0o120644))
        #expect(bucket.info(ObjectKey("dir/"))?.metadata["mode"] == String(0o040644))
    }

    @Test func aFileOpenForWritingWaitsForItsCloseUnlessSomebodyWaitsForIt() async throws {
        try machine.open("log")
        try machine.write(Array("one".utf8), at: 0, through: "log")
        #expect(try await machine.reconcile("log") == .grows(24))
        #expect(bucket.keys.isEmpty)
        #expect(try await machine.reconcile("log", isUrgent: true) == .done)
        #expect(bucket.text("log") == "one")
        try machine.write(Array("two".utf8), at: 3, through: "log")
        machine.close("log")
        #expect(try await machine.reconcile("log") == .done)
        #expect(bucket.text("log") == "onetwo")
    }

    @Test func aFileThatNeverStopsChangingIsSentAsItWasAtOneMoment() async throws {
        try machine.open("log")
        try machine.write([1], at: 0, through: "log")
        hook.call = { [machine] in try machine.write([2], at: machine.model["log"]?.bytes.count ?? 0, through: "log") }
        #expect(try await machine.reconcile("log", isUrgent: true) == .isWritten)
        let sent = try #require(bucket.bytes(ObjectKey("log")))
        #expect(sent.first == 1 && sent.dropFirst().allSatisfy { $0 == 2 })
        #expect(try machine.inode("log")?.pending == .content)
        hook.call = {}
        machine.close("log")
        try await drain()
        try expectLocalTree()
    }

    @Test(arguments: ["short", long])
    func anObjectIsNeverOfTwoMomentsOfAFileThatIsWrittenOver(_ text: String) async throws {
        try machine.put("file", text)
        try machine.open("file")
        var moments: Set = [text]
        hook.call = { [bucket, machine] in
            if let object = bucket.text("file") { #expect(moments.contains(object)) }
            guard moments.count < 9 else { return }
            let new = String(repeating: "\(moments.count)", count: text.count + moments.count)
            try machine.write(Array(new.utf8), at: 0, through: "file")
            moments.insert(new)
        }
        for _ in 0..<9 { _ = try await machine.reconcile("file", isUrgent: true) }
        #expect(moments.count == 9)
        machine.close("file")
        try await drain()
        try expectLocalTree()
    }

    @Test(arguments: ["short", long])
    func aFileChangedDuringItsUploadEndsAsItsLastState(_ text: String) async throws {
        try machine.put("file", text)
        var changes = 0
        hook.call = { [machine] in
            changes += 1
            if changes <= 5 { try machine.put("file", text + String(repeating: "x", count: changes)) }
        }
        try await drain()
        #expect(changes > 5)
        #expect(bucket.text("file") == text + "xxxxx")
        try expectLocalTree()
    }

    @Test(arguments: ["short", long])
    func aFileDeletedDuringItsUploadLeavesNoObject(_ text: String) async throws {
        for moment in 1...12 {
            try machine.put("file", text)
            var requests = 0
            hook.call = { [machine] in
                requests += 1
                if requests == moment, machine.model["file"] != nil { try machine.remove("file") }
            }
            try await drain()
            hook.call = {}
            if machine.model["file"] != nil { try machine.remove("file") }
            try await drain()
            #expect(bucket.keys.isEmpty && bucket.openUploads == 0, "moment \(moment)")
        }
    }

    @Test(arguments: ["short", long])
    func aFileRenamedDuringItsUploadEndsUnderItsLastNameAlone(_ text: String) async throws {
        for moment in 1...12 {
            try machine.put("file", text)
            var requests = 0
            hook.call = { [machine] in
                requests += 1
                if requests == moment { try machine.rename("file", to: "renamed") }
            }
            try await drain()
            hook.call = {}
            try expectLocalTree("moment \(moment)")
            #expect(bucket.keys.count == 1 && bucket.openUploads == 0, "moment \(moment)")
            for path in machine.model.keys { try machine.remove(path) }
            try await drain()
        }
    }

    @Test func anUploadInPartsGoesOnAfterARestartWithThePartsThatDidNotChange() async throws {
        try machine.put("file", Self.long)
        hooked.die(after: 5, afterEffect: true)
        await #expect(throws: StoreError.self) { try await machine.reconcile("file") }
        hooked.die(after: .max, afterEffect: false)
        try machine.restart()
        let sent = faults.calls(.uploadPart)
        #expect(sent == 5)
        try machine.open("file")
        try machine.write(Array("CHANGED!".utf8), at: 8, through: "file")
        machine.close("file")
        try await drain()
        try expectLocalTree()
        // 70 bytes are 9 parts; 4 were journaled, of which the second changed.
        #expect(faults.calls(.uploadPart) - sent == 9 - 4 + 1)
        #expect(faults.calls(.createUpload) == 1)
        #expect(bucket.openUploads == 0)
    }

    @Test(arguments: [false, true])
    func anUploadWhoseIDWasLostWithTheAnswerIsFoundAndAborted(isDeleted: Bool) async throws {
        let others = try await bucket.createMultipartUpload(ObjectKey("file"), metadata: [:])
        _ = try await bucket.uploadPart(
            ObjectKey("file"), upload: others, number: 1, body: MemoryByteSource("theirs, on its way"))
        try machine.put("file", Self.long)
        faults.script(.createUpload, .lostAnswer)
        await #expect(throws: StoreError.self) { try await machine.reconcile("file") }
        #expect(bucket.openUploads == 2)
        try machine.restart()
        if isDeleted { try machine.remove("file") }
        try await drain()
        #expect(try await bucket.openMultipartUploads(of: ObjectKey("file")) == [others], "another's is left alone")
        try await bucket.abortMultipartUpload(ObjectKey("file"), upload: others)
        try expectLocalTree()
    }

    @Test func uploadsThatCannotBeLookedForKeepNoFileFromTheBucket() async throws {
        try machine.put("file", Self.long)
        faults.script(.createUpload, .lostAnswer)
        faults.script(.listUploads, .failBefore(StoreError(.accessDenied, message: "by a test", status: 403)))
        await #expect(throws: StoreError.self) { try await machine.reconcile("file") }
        try await drain()
        try expectLocalTree()
    }

    @Test func theETagOfTheWholeIsThatOfTheParts() {
        func part(_ number: Int, _ text: String) -> PartRecord {
            let md5 = Checksum.hex(Checksum.digest(.md5, of: Array(text.utf8)))
            return PartRecord(part: UploadedPart(number: number, etag: ETag(md5), size: 1, md5: md5), fingerprint: nil)
        }
        let parts = [part(1, "a"), part(2, "b")]
        // md5(md5("a") + md5("b")), by another program.
        let etag = ETag("96e024ba2074fe77e8e965ba43a704be-2")
        #expect(Reconciler.isMade(etag, of: parts))
        #expect(!Reconciler.isMade(etag, of: parts.reversed()))
        #expect(Reconciler.isMade(ETag("of another form"), of: parts))
    }

    @Test func anUploadThatTheStoreDroppedStartsAnew() async throws {
        try machine.put("file", Self.long)
        faults.script(.uploadPart, .none, .none, .unreachable)
        await #expect(throws: StoreError.self) { try await machine.reconcile("file") }
        let record = try #require(try machine.journal.read { try $0.multipart(of: InodeNumber(rawValue: 2)) })
        try await bucket.abortMultipartUpload(record.key, upload: record.id)
        try await drain()
        try expectLocalTree()
    }

    // MARK: Faults

    @Test(arguments: [FaultyStore.Operation.put, .completeUpload, .copy, .delete, .uploadPart, .head, .listParts])
    func aLostAnswerNeverMakesAConflict(_ operation: FaultyStore.Operation) async throws {
        try machine.put("short", "short")
        try machine.put("long", Self.long)
        for step in 0..<7 {
            faults.script(operation, .lostAnswer, .lostAnswer)
            for _ in 0..<20 {
                do { if try await machine.drain() { break } } catch let error as StoreError {
                    #expect(error.kind == .unreachable)
                }
            }
            try expectLocalTree("step \(step)")
            switch step {
            case 0: try machine.setPermissions("short", 0o600)
            case 1: try machine.rename("short", to: "renamed")
            case 2: try machine.rename("long", to: "short")
            case 3: try machine.put("renamed", "changed")
            default: for path in machine.model.keys.sorted().prefix(1) { try machine.remove(path) }
            }
        }
        #expect(bucket.keys.isEmpty)
    }

    /// An upload in parts outlives the try that created it, and its object carries the token of then.
    @Test func theObjectOfAnUploadThatALaterTryCompletesIsKnownAsOurs() async throws {
        faults.script(.put, .lostAnswer)
        try machine.put("file", "short")
        await #expect(throws: StoreError.self) { try await machine.reconcile("file") }
        // The completion is refused for the object that is there, and goes through when that is known as ours.
        faults.script(.completeUpload, .none, .lostAnswer)
        try machine.put("file", Self.long)
        await #expect(throws: StoreError.self) { try await machine.reconcile("file") }
        #expect(bucket.text("file") == Self.long)
        try machine.remove("file")
        try await drain()
        #expect(bucket.keys.isEmpty)
        try expectLocalTree()
    }

    @Test(arguments: [false, true])
    func aDeathAtAnyRequestIsMadeGoodByTheNextProcess(afterEffect: Bool) async throws {
        for moment in 0..<24 {
            try machine.put("a", Self.long)
            try machine.put("b", "short")
            try await drain()
            try machine.rename("a", to: "c")
            try machine.put("b", Self.long + "b")
            try machine.setPermissions("c", 0o600)
            try machine.rename("b", to: "a")
            hooked.die(after: moment, afterEffect: afterEffect)
            _ = try? await machine.drain()
            hooked.die(after: .max, afterEffect: false)
            try machine.restart()
            try await drain()
            try expectLocalTree("moment \(moment)")
            #expect(bucket.keys.map(\.string) == ["a", "c"], "moment \(moment)")
            #expect(bucket.openUploads == 0, "moment \(moment)")
            for path in machine.model.keys { try machine.remove(path) }
            try await drain()
            #expect(bucket.keys.isEmpty, "moment \(moment)")
        }
    }

    @Test func aStoreWithoutConditionsIsServedByAskingFirst() async throws {
        let plain = RefusingStore(bucket) { _, condition in
            condition == .none ? nil : StoreError(.unsupported, message: "no conditions here")
        }
        let machine = try LocalMachine(store: plain)
        try machine.put("a", "one")
        try machine.put("long", Self.long)
        #expect(try await machine.drain())
        bucket.set(ObjectKey("theirs"), [1])
        try machine.put("theirs", "ours")
        try machine.put("a", "two")
        try machine.rename("long", to: "moved")
        #expect(try await machine.drain())
        #expect(bucket.text("a") == "two" && bucket.text("moved") == Self.long && bucket.text("long") == nil)
        #expect(bucket.bytes(ObjectKey("theirs")) == [1])
        #expect(try machine.events(.conflict).count == 1)
    }

    /// As SeaweedFS does with directories that it made by itself.
    @Test func aStoreThatRefusesItsOwnETagsOfDirectoriesGetsTheirAttributesAllTheSame() async throws {
        let store = RefusingStore(bucket) { key, condition in
            guard key.string.hasSuffix("/"), case .ifMatch = condition else { return nil }
            return StoreError(.preconditionFailed, message: "by a test")
        }
        let machine = try LocalMachine(store: store)
        try machine.makeDirectory("d")
        #expect(try await machine.drain())
        try machine.setPermissions("d", 0o700)
        #expect(try await machine.drain())
        #expect(bucket.info(ObjectKey("d/"))?.metadata["mode"] == "16832")
    }

    // MARK: Names

    @Test func renamesInARowCopyOnce() async throws {
        try machine.put("a", "content")
        try await drain()
        for name in ["b", "c", "d"] { try machine.rename(name == "b" ? "a" : name == "c" ? "b" : "c", to: name) }
        try await drain()
        try expectLocalTree()
        #expect(faults.calls(.copy) == 1 && faults.calls(.put) == 1)
    }

    @Test func aRenameBackNeedsNoRequest() async throws {
        try machine.put("a", "content")
        try await drain()
        try machine.rename("a", to: "b")
        try machine.rename("b", to: "a")
        let calls = faults.allCalls
        try await drain()
        #expect(faults.allCalls == calls)
        try expectLocalTree()
    }

    @Test func aDirectoryMovesWithEverythingInIt() async throws {
        try machine.makeDirectory("dir")
        try machine.makeDirectory("dir/sub")
        for index in 0..<20 { try machine.put("dir/sub/\(index)", "file \(index)") }
        try await drain()
        try machine.rename("dir", to: "moved")
        try await drain()
        try expectLocalTree()
        #expect(faults.calls(.copy) == 20)
    }

    /// As SeaweedFS makes and keeps one for every object.
    @Test func theDirectoryThatAStoreMadeForAFileOnItsWayGoesAfterIt() async throws {
        try machine.makeDirectory("a")
        try machine.put("a/file", "bytes")
        try await drain()
        try machine.rename("a", to: "b")
        _ = try await machine.reconcile("b/file")
        #expect(bucket.text("b/file") == "bytes")
        bucket.set(ObjectKey("b/"), [])
        try machine.rename("b", to: "c")
        try await drain()
        #expect(bucket.keys.map(\.string) == ["c/", "c/file"])
    }

    @Test func swappedFilesSwap() async throws {
        try machine.put("a", "content of a")
        try machine.put("b", Self.long)
        try await drain()
        try machine.evict()
        try machine.exchange("a", "b")
        try await drain()
        try expectLocalTree()
    }

    @Test func filesThatRotateThroughNamesEndRight() async throws {
        for name in ["a", "b", "c"] { try machine.put(name, "content of \(name)") }
        try await drain()
        try machine.evict()
        try machine.rename("a", to: "t")
        try machine.rename("b", to: "a")
        try machine.rename("c", to: "b")
        try machine.rename("t", to: "c")
        try await drain()
        try expectLocalTree()
        #expect(bucket.text("a") == "content of b")
    }

    @Test func aReplacedFileIsNeverAbsentFromTheBucket() async throws {
        try machine.put("file", "old")
        try await drain()
        try machine.put("new", "new")
        try machine.rename("new", to: "file")
        try machine.remove("file")
        try machine.put("file", "newest")
        let bucket = bucket
        hook.call = { #expect(bucket.text("file") != nil) }
        try await drain()
        hook.call = {}
        try expectLocalTree()
        #expect(faults.calls(.delete) == 0)
    }

    @Test func anObjectLargerThanOneRequestCopiesMovesInParts() async throws {
        try machine.put("a", Self.long)
        try await drain()
        try machine.rename("a", to: "b")
        try await drain()
        try expectLocalTree()
        #expect(faults.calls(.copyPart) == 2 && faults.calls(.copy) == 0)
    }

    // MARK: Attributes

    @Test func newAttributesReplaceTheOldOnTheServer() async throws {
        try machine.put("file", "content")
        try await drain()
        try machine.evict()
        try machine.setPermissions("file", 0o600)
        try machine.setPermissions("file", 0o700)
        try await drain()
        try expectLocalTree()
        #expect(faults.calls(.copy) == 1 && faults.calls(.put) == 1 && faults.calls(.get) == 0)
    }

    @Test func whatOthersWroteIntoTheMetadataIsKept() async throws {
        try machine.put("file", "content")
        try await drain()
        let key = ObjectKey("file")
        var metadata = try #require(bucket.info(key)).metadata
        metadata["colour"] = "red"
        metadata["file-permissions"] = "0100777"
        bucket.set(key, Array("content".utf8), metadata: metadata)
        try machine.setPermissions("file", 0o600)
        try await drain()
        #expect(bucket.info(key)?.metadata["colour"] == "red")
        #expect(bucket.info(key)?.metadata["file-permissions"] == nil)
        try expectLocalTree()
    }

    @Test func attributesThatWereNeverReadAreNotReplacedByAMove() async throws {
        let etag = bucket.set(ObjectKey("theirs"), [1, 2], metadata: ["mode": String(0o100600), "mtime": "1234"])
        try machine.insertRemote("theirs", etag: etag, size: 2)
        try machine.rename("theirs", to: "moved")
        try await drain()
        let metadata = bucket.info(ObjectKey("moved"))?.metadata
        #expect(metadata?["mode"] == String(0o100600) && metadata?["mtime"] == "1234")
        #expect(bucket.keys.map(\.string) == ["moved"])
    }

    // MARK: Others

    @Test func bothVersionsOfAConflictAreKept() async throws {
        bucket.set(ObjectKey("file"), Array("theirs".utf8), metadata: ["mode": String(0o100600)])
        try machine.put("file", "ours")
        try await drain()
        let copy = "file.conflict-robot-20250615T150640Z"
        #expect(bucket.text("file") == "theirs" && bucket.text(copy) == "ours")
        let (theirs, ours) = (try #require(try machine.inode("file")), try #require(try machine.inode(copy)))
        #expect(theirs.remote?.etag == bucket.info(ObjectKey("file"))?.etag && theirs.permissions == 0o600)
        #expect(theirs.pending.isEmpty && ours.pending.isEmpty && ours.number != theirs.number)
        #expect(try machine.events(.conflict).count == 1)
        let names = ["file", copy].compactMap { FileName($0) }
        #expect(machine.changes.all == names.map { .name($0, in: .root) })
    }

    @Test func aFileThatBothChangedSinceTheLastUploadIsAConflict() async throws {
        try machine.put("file", "base")
        try await drain()
        bucket.set(ObjectKey("file"), Array("theirs".utf8))
        try machine.put("file", "ours")
        try await drain()
        #expect(bucket.keys.count == 2 && bucket.text("file") == "theirs")
        #expect(try machine.events(.conflict).count == 1)
    }

    @Test func aMoveOntoSomebodyElsesObjectKeepsBoth() async throws {
        try machine.put("file", "ours")
        try await drain()
        bucket.set(ObjectKey("target"), Array("theirs".utf8))
        try machine.rename("file", to: "target")
        try await drain()
        #expect(bucket.keys.count == 2 && bucket.text("target") == "theirs")
        #expect(bucket.text("target.conflict-robot-20250615T150640Z") == "ours")
    }

    @Test func conflictsInARowGetNamesOfTheirOwnThatFit() async throws {
        let name = String(repeating: "é", count: 127)
        for _ in 0..<2 {
            try machine.put(name, "ours")
            bucket.set(ObjectKey(name), SeededRandom.bytes(of: UInt64(bucket.keys.count)))
            try await drain()
        }
        #expect(bucket.keys.count == 3)
        #expect(bucket.keys.allSatisfy { $0.byteCount <= FileName.maximumLength })
    }

    @Test func theSameBytesFromTwoAreNoConflict() async throws {
        bucket.set(ObjectKey("file"), Array("same".utf8))
        try machine.put("file", "same")
        try await drain()
        try expectLocalTree()
    }

    @Test func aDirectoryThatTwoMadeIsOne() async throws {
        bucket.set(ObjectKey("dir/"), [])
        try machine.makeDirectory("dir")
        try machine.put("dir/file", "content")
        try await drain()
        #expect(bucket.keys.map(\.string) == ["dir/", "dir/file"])
        #expect(try machine.events(.conflict) == [])
    }

    @Test func aChangedFileThatSomebodyDeletedIsSentAgain() async throws {
        try machine.put("file", "old")
        try await drain()
        bucket.remove(ObjectKey("file"))
        try machine.put("file", "new")
        try await drain()
        try expectLocalTree()
    }

    @Test func aMovedFileThatSomebodyDeletedIsSentFromHere() async throws {
        try machine.put("file", "content")
        try await drain()
        bucket.remove(ObjectKey("file"))
        try machine.rename("file", to: "moved")
        try await drain()
        try expectLocalTree()
    }

    @Test func aMovedFileOfWhichNoByteIsLeftIsReported() async throws {
        try machine.put("file", "content")
        try await drain()
        try machine.evict()
        bucket.remove(ObjectKey("file"))
        let number = try #require(try machine.inode("file")).number
        try machine.rename("file", to: "moved")
        try await drain()
        #expect(try machine.inode("moved") == nil)
        #expect(try machine.events(.error).count == 1)
        #expect(machine.changes.all.contains(.removed(number)))
    }

    @Test func aMovedFileThatSomebodyReplacedMovesAsItIsNow() async throws {
        try machine.put("file", "content")
        try await drain()
        try machine.evict()
        bucket.set(ObjectKey("file"), Array("newer content".utf8))
        try machine.rename("file", to: "moved")
        try await drain()
        #expect(bucket.keys.map(\.string) == ["moved"] && bucket.text("moved") == "newer content")
        #expect(try machine.inode("moved")?.size == 13)
    }

    @Test func aDeletedFilesObjectThatSomebodyReplacedStays() async throws {
        try machine.put("file", "old")
        try await drain()
        bucket.set(ObjectKey("file"), Array("theirs".utf8))
        try machine.remove("file")
        try await drain()
        #expect(bucket.text("file") == "theirs")
        #expect(try machine.events(.conflict).count == 1)
    }

    @Test func attributesOfAnObjectThatSomebodyReplacedAreNotForcedOnIt() async throws {
        try machine.put("file", "old")
        try await drain()
        bucket.set(ObjectKey("file"), Array("theirs".utf8))
        try machine.setPermissions("file", 0o600)
        try await drain()
        #expect(bucket.text("file") == "theirs" && bucket.info(ObjectKey("file"))?.metadata == [:])
        #expect(try machine.events(.conflict).count == 1)
    }

    @Test func whatAProgramStillReadsOfADeletedFileIsFetchedFirst() async throws {
        try machine.put("file", "content")
        try await drain()
        try machine.evict()
        let number = try #require(try machine.inode("file")).number
        let file = try machine.cache.acquire(number)
        #expect(!file.isComplete)
        try machine.remove("file")
        try await drain()
        #expect(bucket.keys.isEmpty)
        #expect(file.missing(in: 0..<7).isEmpty)
        machine.cache.release(file)
    }
}
extension SeededRandom {
    fileprivate static func bytes(of seed: UInt64) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        return random.bytes(10)
    }
}

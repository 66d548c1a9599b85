import Cache
import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing

@testable import Transfer

/// Single names of directories that were never listed, brought into the journal.
@Suite struct ListerProbeTests {
    let store = MemoryStore()
    let faulty: FaultyStore
    let time = ManualTime()
    let journal: Journal
    let lister: Lister
    let open = OpenInodes()
    private let directory: TemporaryDirectory

    final class OpenInodes: Sendable {
        private let numbers = Mutex<Set<InodeNumber>>([])
        func insert(_ number: InodeNumber) { numbers.withLock { _ = $0.insert(number) } }
        func contains(_ number: InodeNumber) -> Bool { numbers.withLock { $0.contains(number) } }
    }

    init() throws {
        directory = try TemporaryDirectory()
        let (time, open) = (time, open)
        faulty = FaultyStore(store, time: time)
        journal = try Journal(path: directory.path("journal.db"))
        lister = try ListerTests.lister(of: faulty, journal, time, isOpenForWriting: { open.contains($0) })
        try journal.makeRoot(time)
    }

    // MARK: Requests

    @Test func aFileTakesOneHeadAndAListingOfOneNameBelowIt() async throws {
        store.set(ObjectKey("a"), [1, 2, 3], metadata: ["mode": "33152", "uid": "3"])
        store.set(ObjectKey("b"), [])
        #expect(await find("a") == nil)
        #expect(try names() == ["a"] && journal.read { try !$0.isListed(.root) })
        let file = try #require(try inode("a"))
        #expect(file.size == 3 && file.permissions == 0o600 && file.userID == 3 && file.isMetadataKnown)
        #expect(faulty.allCalls == 2 && faulty.calls(.head) == 1)
        #expect(faulty.lists == [FaultyStore.List(prefix: "a/", limit: 1)])
    }

    @Test(arguments: ["d/x", "d/e/x", "d/"])
    func aDirectoryIsFoundByWhatIsBelowIt(key: String) async throws {
        store.set(ObjectKey(key), [])
        #expect(await find("d") == nil)
        #expect(try inode("d")?.kind == .directory && names() == ["d"])
        let directory = try #require(try inode("d")).number
        #expect(try journal.read { try $0.children(of: directory).elements.isEmpty })
    }

    @Test func pagesWithoutAnyNameAreNoAnswer() async throws {
        store.set(ObjectKey("d/x"), [])
        let lister = try ListerTests.lister(of: EmptyPages(base: store), journal, time)
        #expect(await find("d", by: lister) == nil)
        #expect(try inode("d")?.kind == .directory)
    }

    @Test func aNameIsFoundBelowADirectory() async throws {
        store.set(ObjectKey("d/a"), [1])
        let directory = try insert("d", .directory) { $0.pending = [] }
        #expect(await find("a", in: directory) == nil)
        #expect(try inode("d/a")?.remote?.key == ObjectKey("d/a"))
        #expect(faulty.lists == [FaultyStore.List(prefix: "d/a/", limit: 1)])
    }

    @Test func whoAsksForTheSameNameAtOnceSharesAProbe() async throws {
        store.set(ObjectKey("a"), [1])
        let name = try #require(FileName("a"))
        let told = Atomic(0)
        faulty.script(.head, .delay(.seconds(1)))
        for _ in 0..<3 { lister.find(name, in: .root) { _ in told.wrappingAdd(1, ordering: .relaxed) } }
        #expect(lister.isFinding(name, in: .root))
        await time.waitForSleepers(1)
        time.advance(by: .seconds(1))
        try await waitUntil { told.load(ordering: .relaxed) == 3 }
        #expect(!lister.isFinding(name, in: .root) && faulty.calls(.head) == 1)
    }

    @Test func theTargetOfASymbolicLinkIsLeftToTheLoader() async throws {
        store.set(ObjectKey("link"), Array("target".utf8), metadata: ["mode": "41471"])
        #expect(await find("link") == nil)
        let link = try #require(try inode("link"))
        #expect(link.kind == .file && !link.isMetadataKnown)
    }

    @Test func whoMayNotReadAnObjectSeesItInAListing() async throws {
        store.set(ObjectKey("a"), [1, 2], metadata: ["mode": "33152"])
        store.set(ObjectKey("a-b"), [1])
        faulty.script(.head, .failBefore(StoreError(.accessDenied, message: "by a test")))
        #expect(await find("a") == nil)
        let file = try #require(try inode("a"))
        #expect(file.size == 2 && !file.isMetadataKnown)
        faulty.script(.head, .failBefore(StoreError(.accessDenied, message: "by a test")))
        #expect(await find("a-") == nil)
        #expect(try names() == ["a"])
    }

    @Test(arguments: [FaultyStore.Operation.head, .list])
    func aFailureIsToldAndChangesNothing(operation: FaultyStore.Operation) async throws {
        store.set(ObjectKey("a"), [1])
        faulty.script(operation, .unreachable)
        #expect(await find("a")?.kind == .unreachable)
        #expect(try names().isEmpty)
    }

    @Test func ofADirectoryThatWasRenamedMeanwhileNothingIsSaid() async throws {
        store.set(ObjectKey("d/a"), [1])
        let directory = try insert("d", .directory) { $0.pending = [] }
        faulty.script(.head, .delay(.seconds(1)))
        async let error = find("a", in: directory)
        await time.waitForSleepers(1)
        try journal.write { transaction in
            try transaction.unlink(#require(FileName("d")), in: .root)
            try transaction.link(#require(FileName("e")), in: .root, to: directory)
        }
        time.advance(by: .seconds(1))
        #expect(await error?.kind == .conflict)
        #expect(try journal.read { try $0.children(of: directory).elements.isEmpty })
    }

    // MARK: What others did

    @Test func anotherVersionTakesThePlaceOfTheOneThatWasKnown() async throws {
        store.set(ObjectKey("a"), [1])
        #expect(await find("a") == nil)
        let former = try #require(try inode("a"))
        #expect(await find("a") == nil)
        #expect(try inode("a") == former)
        store.set(ObjectKey("a"), [1, 2])
        #expect(await find("a") == nil)
        let found = try #require(try inode("a"))
        #expect(found.size == 2 && found.number != former.number)
        #expect(try journal.read { try $0.inode(former.number) }?.linkCount == 0)
    }

    @Test(arguments: ["a", "a/x"]) func whatOthersDeletedGoes(key: String) async throws {
        store.set(ObjectKey(key), [1])
        store.set(ObjectKey("b"), [1])
        #expect(await find("a") == nil)
        #expect(await find("b") == nil)
        store.remove(ObjectKey(key))
        #expect(await find("a") == nil)
        #expect(try names() == ["b"])
    }

    @Test func whatIsOursStays() async throws {
        store.set(ObjectKey("open"), [1])
        #expect(await find("open") == nil)
        open.insert(try #require(try inode("open")).number)
        let pending = try insert("pending", .file) { $0.pending = .content }
        let sent = try insert("sent", .file) {
            $0.remote = RemoteObject(key: ObjectKey("sent"), etag: ETag("new"), size: 1)
            $0.remoteSequence = 1_000_000
        }
        store.remove(ObjectKey("open"))
        for name in ["open", "pending", "sent"] { #expect(await find(name) == nil) }
        #expect(try names() == ["open", "pending", "sent"])
        #expect(try inode("pending")?.number == pending && inode("sent")?.number == sent)
    }

    @Test func whatWasDeletedHereDoesNotComeBack() async throws {
        let etag = store.set(ObjectKey("a"), [1])
        store.set(ObjectKey("d/x"), [1])
        try journal.write { transaction in
            try transaction.setTombstone(Tombstone(key: ObjectKey("a"), etag: etag, token: nil))
            try transaction.setTombstone(Tombstone(key: ObjectKey("d/x"), etag: nil, token: nil))
        }
        #expect(await find("a") == nil)
        #expect(await find("d") == nil)
        #expect(try names().isEmpty)
    }

    // MARK: Objects that directories cover

    @Test func whereAKeyIsAlsoAPrefixTheDirectoryTakesTheName() async throws {
        store.set(ObjectKey("a"), [1])
        store.set(ObjectKey("a/x"), [1])
        for _ in 0..<3 {
            #expect(await find("a") == nil)
            #expect(try names() == ["a", "a.sluice-object"])
            #expect(try inode("a")?.kind == .directory)
        }
        store.remove(ObjectKey("a"))
        #expect(await find("a") == nil)
        #expect(try names() == ["a"])
        #expect(try inode("a")?.kind == .directory)
    }

    @Test(arguments: [false, true])
    func withoutTheDirectoryTheObjectGetsItsNameBack(wasCovered: Bool) async throws {
        if wasCovered { store.set(ObjectKey("a"), [1]) }
        store.set(ObjectKey("a/x"), [1])
        #expect(await find("a") == nil)
        store.remove(ObjectKey("a/x"))
        store.set(ObjectKey("a"), [1])
        #expect(await find("a") == nil)
        #expect(try names() == ["a"])
        #expect(try inode("a")?.kind == .file)
    }

    @Test func aKeyThatEndsAsCoveredNamesDoIsNotTakenForTheObject() async throws {
        store.set(ObjectKey("a/x"), [1])
        store.set(ObjectKey("a.sluice-object"), [1, 2])
        #expect(await find("a.sluice-object") == nil)
        #expect(faulty.lists == [FaultyStore.List(prefix: "", limit: 1000)])
        #expect(await find("a") == nil)
        #expect(try inode("a.sluice-object")?.size == 2)
    }

    // MARK: Many names

    @Test func whoAsksForManyNamesHasTheDirectoryListedAsWell() async throws {
        for index in 0..<10 { store.set(ObjectKey("f\(index)"), [1]) }
        for index in 0..<NameProbes.manyNames - 1 { #expect(await find("f\(index)") == nil) }
        #expect(faulty.lists.allSatisfy { $0.limit == 1 })
        #expect(await find("none") == nil)
        try await waitUntil { try journal.read { try $0.isListed(.root) } }
        #expect(try names().count == 10)
        #expect(faulty.lists.filter { $0.limit > 1 } == [FaultyStore.List(prefix: "", limit: 1000)])
    }

    @Test func aListingThatFailedIsNotBegunAgainByEachProbe() async throws {
        faulty.longLists = .failBefore(StoreError(.accessDenied, message: "by a test"))
        for index in 0..<20 { #expect(await find("f\(index)") == nil) }
        try await waitUntil { faulty.lists.contains { $0.limit > 1 } }
        #expect(faulty.lists.filter { $0.limit > 1 }.count == 1)
    }

    @Test func whatTheListingUnderWayBroughtIsNotAskedForAlone() async throws {
        for index in 0..<1500 { store.set(ObjectKey("f\(10_000 + index)"), [1]) }
        store.set(ObjectKey("f10001"), [1, 2])
        #expect(await find("f10000") == nil)
        time.advance(by: .seconds(10))
        faulty.script(.list, .none, .delay(.seconds(1)))
        async let error = list()
        await time.waitForSleepers(1)
        #expect(try consult("f10001") == nil)
        #expect(try consult("f10000") == .seconds(2), "it was known before")
        #expect(try consult("f11400") == .seconds(30), "the listing has not come so far")
        time.advance(by: .seconds(1))
        #expect(await error == nil)
    }
}

extension ListerProbeTests {
    private func find(_ name: String, in directory: InodeNumber = .root, by lister: Lister? = nil) async -> StoreError?
    {
        guard let name = FileName(name) else { return StoreError(.invalidKey, message: "no name") }
        return await withCheckedContinuation { done in
            (lister ?? self.lister).find(name, in: directory) { done.resume(returning: $0) }
        }
    }

    private func list() async -> StoreError? {
        await withCheckedContinuation { done in lister.refresh(.root) { done.resume(returning: $0) } }
    }

    private func consult(_ path: String) throws -> Duration? {
        lister.consult(
            try #require(FileName(path)), in: .root, sequence: try inode(path)?.remoteSequence, patience: .seconds(2),
            deadline: .seconds(30))
    }

    private func names() throws -> [String] {
        try journal.names(in: .root)
    }

    private func inode(_ path: String) throws -> Inode? { try journal.inode(at: path) }

    private func insert(_ name: String, _ kind: InodeKind, _ change: (inout Inode) -> Void) throws -> InodeNumber {
        try journal.insert(name, kind, in: .root, time, change)
    }
}

/// A store whose listings begin with a page without any name, as S3 sends some where much was deleted.
private struct EmptyPages: ForwardingStore {
    let base: any ObjectStore

    func list(
        prefix: String, delimiter: String?, continuation: String?, limit: Int
    ) async throws(StoreError) -> ListPage {
        guard let continuation else { return ListPage(objects: [], commonPrefixes: [], continuation: "begin") }
        return try await base.list(
            prefix: prefix, delimiter: delimiter, continuation: continuation == "begin" ? nil : continuation,
            limit: limit)
    }
}

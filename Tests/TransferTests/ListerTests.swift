import Cache
import Foundation
import Logging
import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing

@testable import Transfer

/// Listings merged into the journal.
@Suite struct ListerTests {
    let store = MemoryStore()
    let faulty: FaultyStore
    let time = ManualTime()
    let journal: Journal
    let lister: Lister
    let changes = Changes()
    private let directory: TemporaryDirectory

    final class Changes: Sendable {
        private let list = Mutex<[BucketChange]>([])
        var all: [BucketChange] { list.withLock { $0 } }
        func add(_ more: [BucketChange]) { list.withLock { $0 += more } }
        func clear() { list.withLock { $0 = [] } }
    }

    init() throws {
        directory = try TemporaryDirectory()
        let time = time
        let changes = changes
        journal = try Journal(path: directory.path("journal.db"))
        faulty = FaultyStore(store, time: time)
        lister = try Self.lister(of: faulty, journal, time, onChange: { changes.add($0) })
        try journal.makeRoot(time)
    }

    static func lister(
        of store: any ObjectStore, _ journal: Journal, _ time: ManualTime,
        isOpenForWriting: @escaping @Sendable (InodeNumber) -> Bool = { _ in false },
        onChange: @escaping @Sendable ([BucketChange]) -> Void = { _ in }
    ) throws -> Lister {
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        return try Lister(
            store: store, journal: journal, time: time, timeToLive: .seconds(5),
            defaults: RemoteDefaults(filePermissions: 0o644, directoryPermissions: 0o755, userID: 7, groupID: 8),
            logger: logger, listed: ListedAttributes(.exact, journal: journal, logger: logger),
            isOpenForWriting: isOpenForWriting, onChange: onChange)
    }

    @Test func moreThanAHundredThousandDirectoriesStayFresh() {
        for number in 2...110_000 as ClosedRange<UInt64> { lister.markFresh(InodeNumber(rawValue: number)) }
        #expect(lister.remainingFreshness(of: InodeNumber(rawValue: 2)) == .seconds(5))
    }

    @Test func objectsBecomeFilesAndPrefixesDirectories() async throws {
        store.set(ObjectKey("b.txt"), [1, 2, 3])
        store.set(ObjectKey("a/x"), [])
        #expect(await list(.root) == nil)
        #expect(try names(.root) == ["a", "b.txt"])
        let file = try #require(try inode("b.txt"))
        #expect(file.size == 3 && file.kind == .file && file.userID == 7 && !file.isMetadataKnown)
        #expect(try inode("a")?.kind == .directory)
        #expect(try inode("a/x") == nil)
        #expect(await list(try #require(try inode("a")?.number)) == nil)
        #expect(try inode("a/x")?.remote?.key == ObjectKey("a/x"))
    }

    @Test func whatAnUploadMadeOfAFileThatWasRenamedMeanwhileGetsNoNameOfItsOwn() async throws {
        try journal.write { transaction in
            for (name, key) in [("new", "old"), ("other", "former/old")] {
                let inode = try transaction.insertInode { number in
                    var inode = Inode(
                        number: number, kind: .file, permissions: 0o644, userID: 1, groupID: 1, time: time.wall)
                    inode.pending = .content
                    inode.attempt = Inode.Attempt(key: ObjectKey(key), token: "token")
                    return inode
                }
                try transaction.link(#require(FileName(name)), in: .root, to: inode.number)
            }
        }
        store.set(ObjectKey("old"), [1])
        store.set(ObjectKey("former/old"), [1])
        #expect(await list(.root) == nil)
        #expect(try names(.root) == ["new", "other"])
    }

    /// A combining mark behind the slash makes one character of the two, but not one byte.
    @Test func aNameThatBeginsWithAMarkIsKeptWhole() async throws {
        store.set(ObjectKey("d/\u{301}x"), [1])
        store.set(ObjectKey("d/\u{301}e/y"), [1])
        #expect(await list(.root) == nil)
        let directory = try #require(try inode("d")).number
        #expect(await list(directory) == nil)
        #expect(try names(directory) == ["\u{301}e", "\u{301}x"])
    }

    @Test func whereAKeyIsAlsoAPrefixTheDirectoryTakesTheName() async throws {
        store.set(ObjectKey("a"), [1])
        store.set(ObjectKey("a-b"), [1])
        store.set(ObjectKey("a/x"), [1])
        var numbers: Set<InodeNumber> = []
        for _ in 0..<3 {
            #expect(await list(.root) == nil)
            #expect(try inode("a")?.kind == .directory)
            #expect(try names(.root) == ["a", "a-b", "a.sluice-object"])
            numbers.insert(try #require(try inode("a.sluice-object")?.number))
        }
        #expect(numbers.count == 1)
        let covered = try #require(try inode("a.sluice-object"))
        #expect(try journal.read { try $0.key(of: covered) } == ObjectKey("a"))
        store.set(ObjectKey("a"), [2])
        #expect(await list(.root) == nil)
        #expect(try inode("a.sluice-object")?.number != covered.number)
    }

    @Test func aFileThatIsCoveredLaterStaysTheSameFileAndGetsItsNameBack() async throws {
        store.set(ObjectKey("a"), [1])
        #expect(await list(.root) == nil)
        let number = try #require(try inode("a")?.number)
        store.set(ObjectKey("a/x"), [1])
        #expect(await list(.root) == nil)
        #expect(try names(.root) == ["a", "a.sluice-object"])
        #expect(try inode("a.sluice-object")?.number == number)
        store.remove(ObjectKey("a/x"))
        changes.clear()
        #expect(await list(.root) == nil)
        #expect(try names(.root) == ["a"])
        #expect(try inode("a")?.number == number)
        #expect(changes.all.contains(.name(try #require(FileName("a.sluice-object")), in: .root)))
    }

    @Test func aCoveredFileGoesWithItsObject() async throws {
        store.set(ObjectKey("a"), [1])
        store.set(ObjectKey("a/x"), [1])
        #expect(await list(.root) == nil)
        store.remove(ObjectKey("a"))
        #expect(await list(.root) == nil)
        #expect(try names(.root) == ["a"])
        #expect(try inode("a")?.kind == .directory)
    }

    @Test func aKeyThatEndsAsCoveredNamesDoGoesFirst() async throws {
        store.set(ObjectKey("a"), [1])
        store.set(ObjectKey("a/x"), [1])
        #expect(await list(.root) == nil)
        // The same bytes: only the key tells them apart.
        store.set(ObjectKey("a.sluice-object"), [1])
        for _ in 0..<2 {
            #expect(await list(.root) == nil)
            #expect(try names(.root) == ["a", "a.sluice-object"])
            #expect(try inode("a.sluice-object")?.remote?.key == ObjectKey("a.sluice-object"))
        }
        store.remove(ObjectKey("a.sluice-object"))
        for _ in 0..<2 { #expect(await list(.root) == nil) }
        #expect(try inode("a.sluice-object")?.remote?.key == ObjectKey("a"))
    }

    @Test func anObjectThatComesUnderADirectoryMadeHereIsCovered() async throws {
        _ = try insert("a", .directory, in: .root) { $0.pending = .content }
        store.set(ObjectKey("a"), [1])
        #expect(await list(.root) == nil)
        #expect(try names(.root) == ["a", "a.sluice-object"])
    }

    @Test func aDeletionThatIsUnderWayBelowAFileLeavesTheFileAlone() async throws {
        let etag = store.set(ObjectKey("a"), [1])
        #expect(await list(.root) == nil)
        store.set(ObjectKey("a/x"), [1])
        try journal.write { try $0.setTombstone(Tombstone(key: ObjectKey("a/x"), etag: etag, token: nil)) }
        #expect(await list(.root) == nil)
        #expect(try names(.root) == ["a"])
        #expect(try inode("a")?.kind == .file)
    }

    @Test func keysThatNoPathCanNameAreLeftOut() async throws {
        for key in ["//", "/x", "..", ".", "../x", String(repeating: "n", count: 256), "ok"] {
            store.set(ObjectKey(key), [1])
        }
        #expect(await list(.root) == nil)
        #expect(try names(.root) == ["ok"])
    }

    @Test func aNewVersionGetsANewInodeAndTheOldOneLosesItsName() async throws {
        store.set(ObjectKey("a"), [1])
        #expect(await list(.root) == nil)
        let old = try #require(try inode("a"))
        changes.clear()
        store.set(ObjectKey("a"), [2])
        #expect(await list(.root) == nil)
        let new = try #require(try inode("a"))
        #expect(new.number != old.number)
        #expect(try journal.read { try $0.inode(old.number) }?.linkCount == 0)
        #expect(changes.all.contains(.removed(old.number)))
        #expect(changes.all.contains(.name(try #require(FileName("a")), in: .root)))
    }

    @Test func whatOthersDeletedGoesWithAllThatWasBelow() async throws {
        store.set(ObjectKey("d/e/x"), [1])
        store.set(ObjectKey("keep"), [1])
        #expect(await complete(.root) == nil)
        let file = try #require(try inode("d/e/x"))
        store.remove(ObjectKey("d/e/x"))
        #expect(await list(.root) == nil)
        #expect(try names(.root) == ["keep"])
        #expect(changes.all.contains(.removed(file.number)))
    }

    @Test func whatIsNotYetInTheBucketStays() async throws {
        let directory = try insert("new", .directory, in: .root) { $0.pending = .content }
        _ = try insert("file", .file, in: directory) { $0.pending = .content }
        #expect(await list(.root) == nil)
        #expect(try names(.root) == ["new"])
        #expect(await list(directory) == nil)
        #expect(try names(directory) == ["file"])
    }

    @Test func anImplicitDirectoryStaysForTheSakeOfAnUnsentFile() async throws {
        store.set(ObjectKey("d/x"), [1])
        #expect(await complete(.root) == nil)
        _ = try insert("unsent", .file, in: try #require(try inode("d")?.number)) { $0.pending = .content }
        store.remove(ObjectKey("d/x"))
        #expect(await list(.root) == nil)
        #expect(try inode("d/unsent") != nil)
    }

    @Test func anUploadAfterTheListingBeganIsNewerThanTheListing() async throws {
        let number = try insert("a", .file, in: .root) {
            $0.remote = RemoteObject(key: ObjectKey("a"), etag: ETag("new"), size: 1)
            $0.remoteSequence = 1_000_000
        }
        #expect(await list(.root) == nil)
        #expect(try inode("a")?.number == number)
    }

    @Test func whatWasDeletedHereDoesNotComeBack() async throws {
        let etag = store.set(ObjectKey("a"), [1])
        store.set(ObjectKey("d/x"), [1])
        try journal.write { transaction in
            try transaction.setTombstone(Tombstone(key: ObjectKey("a"), etag: etag, token: nil))
            try transaction.setTombstone(Tombstone(key: ObjectKey("d/x"), etag: nil, token: nil))
        }
        #expect(await list(.root) == nil)
        #expect(try names(.root).isEmpty)
    }

    @Test func whatWasDeletedWhileAListingWasUnderWayDoesNotComeBack() throws {
        let start = journal.nextSequence()
        let merge = { (start: Int64) in
            ListingMerge(
                directory: .root, prefix: "", start: start, begunAt: time.monotonic,
                defaults: RemoteDefaults(filePermissions: 0, directoryPermissions: 0, userID: 0, groupID: 0),
                time: time.wall, wasListed: false, newest: try journal.read { try $0.lastNumber() },
                isOpenForWriting: { _ in false })
        }
        var former = try merge(start)
        try journal.write { transaction in
            for key in ["a", "d/x"] {
                try transaction.setTombstone(Tombstone(key: ObjectKey(key), etag: nil, token: nil))
                try transaction.removeTombstone(at: ObjectKey(key))
            }
        }
        let info = ObjectInfo(key: ObjectKey("a"), size: 1, etag: ETag("e"), lastModified: time.wall)
        let page = ListPage(objects: [info], commonPrefixes: ["d/"], continuation: nil)
        try journal.write { try former.apply(page, in: $0) }
        #expect(try names(.root).isEmpty)
        var later = try merge(journal.nextSequence())
        try journal.write { try later.apply(page, in: $0) }
        #expect(try names(.root) == ["a", "d"])
    }

    @Test func whatWasRenamedHereDoesNotComeBackUnderItsOldName() async throws {
        let etag = store.set(ObjectKey("old/a"), [1])
        _ = try insert("moved", .file, in: .root) {
            $0.remote = RemoteObject(key: ObjectKey("old/a"), etag: etag, size: 1)
            $0.pending = .location
        }
        #expect(await list(.root) == nil)
        #expect(try names(.root) == ["moved"])
    }

    @Test func theMarkerOfADirectoryIsLearnt() async throws {
        store.set(ObjectKey("d/"), [])
        #expect(await complete(.root) == nil)
        #expect(try inode("d")?.remote?.key == ObjectKey("d/"))
        #expect(try names(try #require(try inode("d")?.number)).isEmpty)
    }

    @Test func manyPagesAreOneListing() async throws {
        for index in 0..<2500 { store.set(ObjectKey("f\(index)"), [1]) }
        #expect(await list(.root) == nil)
        #expect(try names(.root).count == 2500)
        for index in 0..<1250 { store.remove(ObjectKey("f\(index)")) }
        #expect(await list(.root) == nil)
        #expect(try names(.root).count == 1250)
    }

    /// More names than are looked at in one transaction at the end of a listing, on both sides of those that stay.
    @Test func ofManyNamesThoseThatAreGoneGoAndTheOthersStay() async throws {
        let count = ListingMerge.sweepLength + 500
        for index in 0..<count { store.set(ObjectKey("f\(index)"), [1]) }
        #expect(await list(.root) == nil)
        let local = try insert("f1-made-here", .file, in: .root) { $0.pending = .content }
        for index in 0..<count where index % 3 == 0 { store.remove(ObjectKey("f\(index)")) }
        store.set(ObjectKey("f0-new"), [1])
        #expect(await list(.root) == nil)
        let left = (0..<count).filter { $0 % 3 != 0 }.map { "f\($0)" }
        #expect(try Set(names(.root)) == Set(left + ["f0-new", "f1-made-here"]))
        #expect(try inode("f1-made-here")?.number == local)
    }

    @Test func theNextPageIsAskedForWhileOneIsTakenIn() async throws {
        for index in 0..<2500 { store.set(ObjectKey("f\(index)"), [1]) }
        let held = HeldStore(store, journal)
        let lister = try Self.lister(of: held, journal, time)
        #expect(await withCheckedContinuation { done in lister.refresh(.root) { done.resume(returning: $0) } } == nil)
        #expect(held.sawNext.withLock { $0 })
        #expect(try names(.root).count == 2500)
    }

    @Test func whoFollowsAFirstListingIsToldOfEachNewNameOnceAndOfNoneLater() async throws {
        for index in 0..<2500 { store.set(ObjectKey("f\(index)"), [1]) }
        for index in 0..<100 { store.set(ObjectKey("d\(index)/x"), [1]) }
        let known = try insert("f77", .file, in: .root) { $0.pending = .content }
        let follower = Follower()
        let list = {
            await withCheckedContinuation { done in
                lister.refresh(.root, follower: follower) { done.resume(returning: $0) }
            }
        }
        #expect(await list() == nil)
        let told = follower.names.withLock { $0 }
        #expect(told.count == 2599 && Set(told).count == 2599 && !told.contains("f77"))
        #expect(try inode("f77")?.number == known)
        #expect(follower.steps.withLock { $0 } == 2)
        store.set(ObjectKey("later"), [1])
        #expect(await list() == nil)
        #expect(follower.names.withLock { $0.count } == 2599)
    }

    @Test func aListedDirectoryWithoutAMarkerHasNoAttributesToAskFor() async throws {
        store.set(ObjectKey("plain/x"), [1])
        store.set(ObjectKey("marked/"), [])
        #expect(await complete(.root) == nil)
        #expect(try inode("plain")?.isMetadataKnown == true)
        #expect(try inode("marked")?.isMetadataKnown == false)
    }

    @Test func aListingIsFreshForItsTimeToLive() async throws {
        #expect(lister.remainingFreshness(of: .root) == .zero)
        #expect(await list(.root) == nil)
        #expect(lister.remainingFreshness(of: .root) == .seconds(5))
        #expect(lister.consult(.root, patience: .seconds(1)) == nil)
        time.advance(by: .seconds(5))
        #expect(lister.remainingFreshness(of: .root) == .zero)
        #expect(lister.consult(.root, patience: .seconds(1)) == .seconds(1))
    }

    @Test func whatAFormerProcessListedStaysAsFreshAsItWas() async throws {
        time.advance(by: .seconds(1))
        store.set(ObjectKey("d/x"), [1])
        #expect(await list(.root) == nil)
        time.advance(by: .seconds(2))
        let directory = try #require(try inode("d")).number
        #expect(await list(directory) == nil)
        time.advance(by: .seconds(2))
        let next = try Self.lister(of: faulty, journal, time)
        #expect(next.remainingFreshness(of: .root) == .seconds(1))
        #expect(next.remainingFreshness(of: directory) == .seconds(3))
        time.advance(by: .seconds(1))
        #expect(try Self.lister(of: faulty, journal, time).remainingFreshness(of: .root) == .zero)
        // A clock that was set back, as in another time namespace.
        let other = try Self.lister(of: faulty, journal, ManualTime())
        #expect(other.remainingFreshness(of: .root) == .zero)
    }

    @Test func aFailureIsToldAndChangesNothing() async throws {
        store.set(ObjectKey("a"), [1])
        faulty.isOffline = true
        let error = await withCheckedContinuation { done in lister.refresh(.root) { done.resume(returning: $0) } }
        #expect(error?.kind == .unreachable)
        #expect(try journal.read { try !$0.isListed(.root) })
    }

    @Test func theNextDirectoriesThatWereNeverListedComeInTheOrderOfTheirBytes() async throws {
        for key in ["B/x", "a/x", "b", "c/x", "d/x", "é/x"] { store.set(ObjectKey(key), [1]) }
        #expect(await list(.root) == nil)
        func next(behind name: String, _ limit: Int) throws -> [String] {
            let name = try #require(FileName(name))
            return try journal.read {
                try $0.unlistedDirectories(in: .root, behind: name, limit: limit).map(\.name.string)
            }
        }
        #expect(try next(behind: "B", 3) == ["a", "c", "d"])
        #expect(await list(try #require(try inode("c")?.number)) == nil)
        #expect(try next(behind: "a", 9) == ["d", "é"])
        #expect(try next(behind: "é", 9) == [])
    }

    @Test func aTreeIsListedManyDirectoriesAtATime() async throws {
        for index in 0..<40 { store.set(ObjectKey("d\(index)/x"), [1]) }
        #expect(await list(.root) == nil)
        faulty.decide { $0 == .list ? .delay(.seconds(1)) : .none }
        async let error = complete(.root)
        try await waitUntil { time.sleeperCount == 16 }
        #expect(faulty.calls(.list) == 1 + 16)
        faulty.decide(nil)
        time.advance(by: .seconds(1))
        #expect(await error == nil)
        #expect(try journal.read { try $0.unlistedDirectories(under: .root) }.isEmpty)
        #expect(Set(faulty.lists.map(\.prefix)).count == 41 && faulty.lists.count == 41)
    }

    @Test func anErrorInOneDirectoryOfATreeIsToldAndTheRestIsLeftForNextTime() async throws {
        for index in 0..<40 { store.set(ObjectKey("d\(index)/x"), [1]) }
        #expect(await list(.root) == nil)
        faulty.script(.list, .none, .none, .none, .failBefore(StoreError(.serverFault, message: "by a test")))
        faulty.decide { $0 == .list ? .delay(.seconds(1)) : .none }
        async let error = complete(.root)
        try await waitUntil { faulty.calls(.list) >= 1 + 16 }
        faulty.decide(nil)
        try await waitUntil {
            time.advance(by: .seconds(1))
            return time.sleeperCount == 0
        }
        #expect(await error?.kind == .serverFault)
        #expect(try !journal.read { try $0.unlistedDirectories(under: .root) }.isEmpty)
        #expect(await complete(.root) == nil)
        #expect(try journal.read { try $0.unlistedDirectories(under: .root) }.isEmpty)
    }

    @Test func ofALongDirectoryThatNobodyWaitsForOnlyTheBeginningIsListedAhead() async throws {
        for index in 0..<6000 { store.set(ObjectKey("d/\(index)"), [1]) }
        #expect(await list(.root) == nil)
        let number = try #require(try inode("d")?.number)
        lister.listAhead(number)
        try await waitUntil { lister.lastProgress(of: number) == nil }
        #expect(faulty.lists.count { $0.prefix == "d/" } == 4)
        #expect(try journal.read { try !$0.isListed(number) })
        #expect(await list(number) == nil)
        #expect(try names(number).count == 6000)
    }

    @Test func whoComesWhileALongDirectoryIsListedAheadGetsAllOfIt() async throws {
        for index in 0..<6000 { store.set(ObjectKey("d/\(index)"), [1]) }
        #expect(await list(.root) == nil)
        let number = try #require(try inode("d")?.number)
        faulty.script(.list, .delay(.seconds(1)))
        lister.listAhead(number)
        try await waitUntil { time.sleeperCount == 1 }
        async let error = list(number)
        try await waitUntil {
            time.advance(by: .seconds(1))
            return try journal.read { try $0.isListed(number) }
        }
        #expect(await error == nil)
        #expect(try names(number).count == 6000)
    }
}

extension ListerTests {
    private func list(_ directory: InodeNumber) async -> StoreError? {
        await withCheckedContinuation { done in lister.refresh(directory) { done.resume(returning: $0) } }
    }

    private func complete(_ top: InodeNumber) async -> StoreError? {
        await withCheckedContinuation { done in lister.completeTree(top) { done.resume(returning: $0) } }
    }

    private func names(_ directory: InodeNumber) throws -> [String] {
        try journal.names(in: directory)
    }

    private func inode(_ path: String) throws -> Inode? { try journal.inode(at: path) }

    private func insert(
        _ name: String, _ kind: InodeKind, in parent: InodeNumber, _ change: (inout Inode) -> Void
    ) throws -> InodeNumber {
        try journal.insert(name, kind, in: parent, time, change)
    }
}

/// Keeps the journal from whoever takes in the first page, until the second one is asked for.
private final class HeldStore: ForwardingStore {
    let base: any ObjectStore
    let sawNext = Mutex(false)
    private let journal: Journal
    private let asked = Mutex(0)

    init(_ base: any ObjectStore, _ journal: Journal) {
        self.base = base
        self.journal = journal
    }

    func list(
        prefix: String, delimiter: String?, continuation: String?, limit: Int
    ) async throws(StoreError) -> ListPage {
        let number = asked.withLock { asked in
            asked += 1
            return asked
        }
        let page = try await base.list(
            prefix: prefix, delimiter: delimiter, continuation: continuation, limit: limit)
        if number == 1 { await holdJournal() }
        return page
    }

    private func holdJournal() async {
        await withCheckedContinuation { held in
            Thread.detachNewThread { [self] in
                try? journal.read { _ in
                    held.resume()
                    // Of a minute, so that a listing that asks for one page after the other ends as well.
                    for _ in 0..<60_000 where asked.withLock({ $0 }) < 2 { usleep(1000) }
                    sawNext.withLock { $0 = asked.withLock { $0 } >= 2 }
                }
            }
        }
    }
}

private final class Follower: ListingFollower {
    let names = Mutex<[String]>([])
    let steps = Mutex(0)

    func added(_ names: [Dentry]) { self.names.withLock { $0 += names.map(\.name.string) } }
    func gotOn() { steps.withLock { $0 += 1 } }
}

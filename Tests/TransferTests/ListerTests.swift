import Cache
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
        lister = Lister(
            store: store, journal: journal, time: time, timeToLive: .seconds(5),
            defaults: RemoteDefaults(filePermissions: 0o644, directoryPermissions: 0o755, userID: 7, groupID: 8),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), isOpenForWriting: { _ in false },
            onChange: { changes.add($0) })
        _ = try journal.write { transaction in
            try transaction.insertInode {
                Inode(number: $0, kind: .directory, permissions: 0o755, userID: 0, groupID: 0, time: time.wall)
            }
        }
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
        var merge = ListingMerge(
            directory: .root, prefix: "", start: start,
            defaults: RemoteDefaults(filePermissions: 0, directoryPermissions: 0, userID: 0, groupID: 0),
            time: time.wall, wasListed: false,
            isOpenForWriting: { _ in false })
        try journal.write { transaction in
            for key in ["a", "d/x"] {
                try transaction.setTombstone(Tombstone(key: ObjectKey(key), etag: nil, token: nil))
                try transaction.removeTombstone(at: ObjectKey(key))
            }
        }
        let info = ObjectInfo(key: ObjectKey("a"), size: 1, etag: ETag("e"), lastModified: time.wall)
        let page = ListPage(objects: [info], commonPrefixes: ["d/"], continuation: nil)
        try journal.write { try merge.apply(page, in: $0) }
        #expect(try names(.root).isEmpty)
        var later = ListingMerge(
            directory: .root, prefix: "", start: journal.nextSequence(), defaults: merge.defaults, time: time.wall,
            wasListed: false,
            isOpenForWriting: { _ in false })
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

    @Test func aListingIsFreshForItsTimeToLive() async throws {
        #expect(lister.remainingFreshness(of: .root) == .zero)
        #expect(await list(.root) == nil)
        #expect(lister.remainingFreshness(of: .root) == .seconds(5))
        #expect(lister.consult(.root, patience: .seconds(1)) == nil)
        time.advance(by: .seconds(5))
        #expect(lister.remainingFreshness(of: .root) == .zero)
        #expect(lister.consult(.root, patience: .seconds(1)) == .seconds(1))
    }

    @Test func aFailureIsToldAndChangesNothing() async throws {
        store.set(ObjectKey("a"), [1])
        let faulty = FaultyStore(store)
        faulty.isOffline = true
        let lister = Lister(
            store: faulty, journal: journal, time: time, timeToLive: .seconds(5),
            defaults: RemoteDefaults(filePermissions: 0, directoryPermissions: 0, userID: 0, groupID: 0),
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), isOpenForWriting: { _ in false },
            onChange: { _ in })
        let error = await withCheckedContinuation { done in lister.refresh(.root) { done.resume(returning: $0) } }
        #expect(error?.kind == .unreachable)
        #expect(try journal.read { try $0.listed(.root) } == nil)
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
        try journal.read { try $0.children(of: directory).map(\.name.string) }
    }

    private func inode(_ path: String) throws -> Inode? { try journal.read { try $0.inode(at: path) } }

    private func insert(
        _ name: String, _ kind: InodeKind, in parent: InodeNumber, _ change: (inout Inode) -> Void
    ) throws -> InodeNumber {
        let name = try #require(FileName(name))
        return try journal.write { transaction in
            let inode = try transaction.insertInode {
                var inode = Inode(number: $0, kind: kind, permissions: 0o644, userID: 0, groupID: 0, time: time.wall)
                change(&inode)
                return inode
            }
            try transaction.link(name, in: parent, to: inode.number)
            return inode.number
        }
    }
}

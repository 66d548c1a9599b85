import Cache
import FileSystem
import ObjectStore
import Platform
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import WorldKit

/// Looks at single names of directories that were never listed.
@Suite struct SingleNamesTests {
    let world: World
    let driver: FileSystemDriver

    init() async throws {
        world = try World {
            $0.metadataTimeToLive = .seconds(10)
            $0.networkDeadline = .seconds(30)
        }
        driver = world.driver
        world.faulty.longLists = .failBefore(StoreError(.accessDenied, message: "by a test"))
    }

    private func isListed(_ path: String) throws -> Bool {
        try world.journal.read { try $0.isListed(#require(try $0.inode(at: path)).number) }
    }

    @Test func aLookAtOneFileListsNoDirectory() async throws {
        for name in ["d/a", "d/e/x", "d/e/y", "f/z"] {
            world.store.set(name, "content of \(name)", metadata: ["mode": "33152"])
        }
        #expect(try await driver.stat("d/e/x").permissions == 0o600)
        #expect(try await driver.readFile("d/e/x") == "content of d/e/x")
        #expect(try await driver.stat("d/e").kind == .directory)
        #expect(world.faulty.lists.allSatisfy { $0.limit == 1 })
        #expect(try world.journal.read { try $0.inode(at: "d/e/y") } == nil)
        world.faulty.longLists = .none
        #expect(try await driver.list("d/e") == ["x", "y"])
    }

    @Test func theAttributesOfAFileComeWithIt() async throws {
        world.store.set("a", "1", metadata: ["mode": "33152", "mtime": "1000"])
        let attributes = try await driver.stat("a")
        #expect(attributes.permissions == 0o600 && attributes.modified == Timestamp(seconds: 1000))
        #expect(world.faulty.calls(.head) == 1 && world.faulty.allCalls == 2)
        world.store.set("link", "target", metadata: ["mode": "41471"])
        #expect(try await driver.readLink("link") == "target")
    }

    @Test func whatIsFreshIsAnsweredWithoutARequest() async throws {
        world.store.set("a", "1")
        #expect(try await driver.exists("a"))
        #expect(try await !driver.exists("missing"))
        let requests = world.faulty.allCalls
        world.time.advance(by: .milliseconds(4_999))
        for _ in 0..<10 { #expect(try await driver.exists("a")) }
        world.time.advance(by: .seconds(5))
        for _ in 0..<10 { #expect(try await !driver.exists("missing")) }
        #expect(world.faulty.allCalls == requests)
    }

    @Test func aNameInUseIsAskedForInTheBackgroundBeforeItIsStale() async throws {
        world.store.set("a", "1")
        #expect(try await driver.stat("a").size == 1)
        world.store.set("a", "new")
        world.time.advance(by: .seconds(5))
        world.faulty.script(.head, .delay(.seconds(1)))
        #expect(try await driver.stat("a").size == 1)
        try await waitUntil { world.time.sleeperCount >= 1 }
        world.time.advance(by: .seconds(1))
        try await waitUntil { try await driver.stat("a").size == 3 }
    }

    @Test func theFirstLookAfterTheTimeToLiveShowsWhatOthersDid() async throws {
        for name in ["changed", "deleted", "directory/x"] { world.store.set(name, "old") }
        #expect(try await driver.readFile("changed") == "old")
        for name in ["deleted", "directory"] { #expect(try await driver.exists(name)) }
        #expect(try await !driver.exists("created"))
        world.store.set("changed", "new, longer")
        world.store.set("created", "new")
        for name in ["deleted", "directory/x"] { world.store.remove(ObjectKey(name)) }
        #expect(try await driver.stat("changed").size == 3)
        world.time.advance(by: .seconds(10))
        #expect(try await driver.readFile("changed") == "new, longer")
        #expect(try await driver.readFile("created") == "new")
        for name in ["deleted", "directory"] { #expect(try await !driver.exists(name)) }
    }

    @Test func whatWasMadeHereIsThereWhateverTheBucketSaidBefore() async throws {
        #expect(try await !driver.exists("a"))
        try await driver.writeFile("a", "made here")
        #expect(try await driver.readFile("a") == "made here")
        try await world.drain()
        world.time.advance(by: .seconds(10))
        #expect(try await driver.readFile("a") == "made here")
        try await driver.unlink("a")
        #expect(try await !driver.exists("a"))
    }

    @Test func whatIsNotSentYetIsNotAskedFor() async throws {
        world.store.set("b", "theirs")
        let handle = try await driver.create("a")
        try driver.write(handle, "ours")
        let changed = try await driver.open("b", [.read, .write])
        let requests = world.faulty.allCalls
        world.time.advance(by: .seconds(100))
        world.store.remove(ObjectKey("b"))
        for name in ["a", "b"] { #expect(try await driver.exists(name)) }
        #expect(world.faulty.allCalls == requests)
        for handle in [handle, changed] { driver.fileSystem.release(handle) }
    }

    @Test func withoutANetworkWhatIsKnownHasToDo() async throws {
        world.store.set("known", "1")
        world.store.set("unknown", "1")
        #expect(try await driver.readFile("known") == "1")
        world.faulty.isOffline = true
        try await waitUntil {
            _ = try await driver.exists("unknown")
            return world.link.isOffline
        }
        world.time.advance(by: .seconds(100))
        let requests = world.faulty.lists.count
        #expect(try await driver.readFile("known") == "1")
        #expect(try await !driver.exists("unknown"))
        #expect(world.faulty.lists.count == requests)
    }

    @Test(arguments: [
        ("known", Duration.seconds(2)), ("missing", .milliseconds(300)), ("new", .seconds(30)),
    ])
    func whereTheBucketDoesNotAnswerSoonWhatIsKnownHasToDo(name: String, limit: Duration) async throws {
        world.store.set("known", "1")
        #expect(try await driver.exists("known"))
        #expect(try await !driver.exists("missing"))
        world.store.set(name, "new, longer")
        world.time.advance(by: .seconds(10))
        world.faulty.script(.head, .delay(.seconds(100)))
        let driver = driver
        async let exists = driver.exists(name)
        // The request and the deadline of the lookup.
        try await waitUntil { world.time.sleeperCount >= 2 }
        world.time.advance(by: limit)
        #expect(try await exists == (name == "known"))
        // Nobody waits again for a probe that did not come in time; it comes all the same.
        if name != "new" { #expect(try await driver.exists(name) == (name == "known")) }
        world.time.advance(by: .seconds(100))
        try await waitUntil { (try? await driver.stat(name))?.size == 11 }
    }

    @Test func afterAFailureNobodyWaitsForWhatIsKnown() async throws {
        world.store.set("a", "1")
        #expect(try await driver.exists("a"))
        world.time.advance(by: .seconds(10))
        world.faulty.script(.head, .failBefore(StoreError(.serverFault, message: "by a test")))
        #expect(try await driver.exists("a"))
        world.time.advance(by: .seconds(5))
        world.faulty.script(.head, .delay(.seconds(100)))
        #expect(try await driver.exists("a"))
    }

    @Test func whilePausedNobodyWaitsForWhatIsKnown() async throws {
        world.store.set("a", "1")
        #expect(try await driver.exists("a"))
        world.writeback.pause()
        world.time.advance(by: .seconds(10))
        world.faulty.script(.head, .delay(.seconds(100)))
        #expect(try await driver.exists("a"))
    }

    @Test func theKernelKeepsNoNameLongerThanItIsFresh() async throws {
        world.store.set("a", "1")
        let name = try #require(FileName("a"))
        #expect(try await driver.timeToLive(of: name) == .seconds(1))
        world.faulty.script(.head, .delay(.seconds(100)))
        world.time.advance(by: .milliseconds(9_750))
        #expect(try await driver.timeToLive(of: name) == .milliseconds(250))
    }

    @Test func manyNamesBeginAListingThatNobodyWaitsFor() async throws {
        world.faulty.longLists = .none
        let names = (0..<50).map { "f\($0)" }
        for name in names { world.store.set(name, "1") }
        for name in names.prefix(3) { #expect(try await driver.exists(name)) }
        #expect(world.faulty.lists.allSatisfy { $0.limit == 1 })
        world.faulty.longLists = .delay(.seconds(4))
        for name in names { #expect(try await driver.exists(name)) }
        #expect(try !isListed(""))
        try await waitUntil { world.time.sleeperCount >= 1 }
        world.time.advance(by: .seconds(4))
        try await waitUntil { try isListed("") }
        #expect(world.faulty.lists.filter { $0.limit > 1 }.count == 1)
        let requests = world.faulty.allCalls
        for name in names { #expect(try await driver.exists(name)) }
        #expect(world.faulty.allCalls == requests)
    }

    @Test(arguments: ["file", "link", "moved"])
    func whoMakesANameHasTheDirectoryListedInTheBackground(made: String) async throws {
        world.store.set("d/there", "1")
        #expect(try await driver.exists("d/there"))
        world.faulty.longLists = .delay(.seconds(4))
        switch made {
        case "link": try await driver.makeHardLink("d/link", to: "d/there")
        case "moved": try await driver.rename("d/there", "d/moved")
        default: try await driver.makeLink("d/file", to: "target")
        }
        #expect(try !isListed("d"))
        try await waitUntil { world.time.sleeperCount >= 1 }
        try await waitUntil {
            world.time.advance(by: .seconds(1))
            return try isListed("d")
        }
    }

    @Test func whoLooksForTheSameNameAtOnceFindsIt() async throws {
        for round in 0..<100 {
            let name = "f\(round)"
            world.store.set(name, "1")
            let driver = driver
            let found = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<50 { group.addTask { try await driver.exists(name) } }
                return try await group.reduce(true) { $0 && $1 }
            }
            #expect(found)
        }
    }

    @Test func theNameOfACoveredObjectIsFoundByAListing() async throws {
        world.store.set("d/a", "the object")
        world.store.set("d/a/x", "below it")
        #expect(try await driver.readFile("d/a/x") == "below it")
        #expect(world.faulty.lists.allSatisfy { $0.limit == 1 })
        world.faulty.longLists = .none
        #expect(try await driver.readFile("d/a.sluice-object") == "the object")
    }

    @Test func bytesOfAVersionThatIsGoneAreESTALEAndListNothing() async throws {
        world.store.set("a", "old")
        let handle = try await driver.open("a", .read)
        world.store.set("a", "new")
        await #expect(throws: Errno.staleNFSFileHandle) { try await driver.read(handle) }
        driver.fileSystem.release(handle)
        try await waitUntil { try await driver.readFile("a") == "new" }
        #expect(world.faulty.lists.allSatisfy { $0.limit == 1 })
    }

    @Test func aLinkReplacedSinceItWasFoundIsFoundAllTheSame() async throws {
        world.store.set("a", "old target", metadata: ["mode": "41471"])
        // The link's body is asked for after its name.
        world.faulty.script(.get, .failBefore(StoreError(.preconditionFailed, message: "by a test")))
        #expect(try await driver.readLink("a") == "old target")
        #expect(world.faulty.lists.allSatisfy { $0.limit == 1 })
    }
}

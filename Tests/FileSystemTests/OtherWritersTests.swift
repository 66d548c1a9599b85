import Cache
import FileSystem
import ObjectStore
import Platform
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import WorldKit

/// What others do in the bucket, as the first look of a program shows it.
@Suite struct OtherWritersTests {
    let world: World
    let driver: FileSystemDriver

    init() async throws {
        world = try World { $0.metadataTimeToLive = .seconds(10) }
        driver = world.driver
    }

    @Test func theFirstLookAfterTheTimeToLiveShowsWhatOthersDid() async throws {
        world.store.set("changed", "old")
        world.store.set("deleted", "old")
        #expect(try await driver.list("") == ["changed", "deleted"])
        #expect(try await driver.readFile("changed") == "old")
        #expect(try await driver.exists("deleted"))
        world.store.set("changed", "new, longer")
        world.store.remove(ObjectKey("deleted"))
        world.store.set("created", "new")
        world.time.advance(by: .seconds(10))
        #expect(try await driver.stat("changed").size == 11)
        world.time.advance(by: .seconds(10))
        #expect(try await !driver.exists("deleted"))
        #expect(try await driver.readFile("created") == "new")
        #expect(try await driver.readFile("changed") == "new, longer")
    }

    @Test(arguments: ["deleted", "created"])
    func theFirstLookIsEnoughForEachName(name: String) async throws {
        world.store.set("deleted", "old")
        #expect(try await driver.list("") == ["deleted"])
        world.store.remove(ObjectKey("deleted"))
        world.store.set("created", "new")
        world.time.advance(by: .seconds(10))
        #expect(try await driver.exists(name) == (name == "created"))
    }

    @Test(arguments: [true, false]) func whatWasListedBeforeARestartIsAsFreshAsItWasUnlessTheMachineWasStarted(
        isSameBoot: Bool
    ) async throws {
        let time = ManualTime()
        time.advance(by: .seconds(100))
        var state = try WorldState()
        let first = try World(state: state, time: time) { $0.metadataTimeToLive = .seconds(10) }
        first.store.set("d/a", "1")
        #expect(try await first.driver.list("") == ["d"])
        #expect(try await first.driver.list("d") == ["a"])
        try await first.stop()
        first.store.set("d/b", "2")
        if !isSameBoot { state.boot.low += 1 }
        time.advance(by: .seconds(4))
        let second = try World(store: first.store, state: state, time: time) { $0.metadataTimeToLive = .seconds(10) }
        #expect(try await second.driver.list("d") == (isSameBoot ? ["a"] : ["a", "b"]))
        #expect((second.faulty.calls(.list) == 0) == isSameBoot)
        time.advance(by: .seconds(6))
        #expect(try await second.driver.list("d") == ["a", "b"])
        try await second.stop()
    }

    @Test func whatIsFreshIsAnsweredWithoutARequest() async throws {
        world.store.set("a", "1")
        #expect(try await driver.list("") == ["a"])
        _ = try await driver.readFile("a")
        let requests = world.faulty.allCalls
        world.time.advance(by: .milliseconds(4_999))
        for _ in 0..<50 {
            #expect(try await driver.exists("a"))
            #expect(try await !driver.exists("b"))
            #expect(try await driver.list("") == ["a"])
        }
        #expect(world.faulty.allCalls == requests)
    }

    @Test func aDirectoryInUseIsListedInTheBackgroundBeforeItIsStale() async throws {
        #expect(try await driver.list("").isEmpty)
        let listings = world.faulty.calls(.list)
        world.time.advance(by: .seconds(5))
        world.store.set("a", "1")
        for _ in 0..<50 { _ = try await driver.exists("b") }
        try await waitUntil { try await driver.exists("a") }
        #expect(world.faulty.calls(.list) == listings + 1)
    }

    @Test func theKernelKeepsNoNameLongerThanItIsFresh() async throws {
        world.store.set("a", "1")
        _ = try await driver.list("")
        let name = try #require(FileName("a"))
        #expect(try await driver.timeToLive(of: name) == .seconds(1))
        #expect(driver.fileSystem.negativeTimeToLive(in: .root) == .seconds(1))
        world.faulty.script(.list, .delay(.seconds(100)))
        world.time.advance(by: .milliseconds(9_750))
        #expect(try await driver.timeToLive(of: name) == .milliseconds(250))
        #expect(driver.fileSystem.negativeTimeToLive(in: .root) == .milliseconds(250))
    }

    @Test(arguments: [("known", Duration.seconds(2)), ("new", .milliseconds(300))])
    func whereTheBucketDoesNotAnswerSoonWhatIsKnownHasToDo(name: String, limit: Duration) async throws {
        world.store.set("known", "1")
        #expect(try await driver.list("") == ["known"])
        _ = try await driver.readFile("known")
        world.time.advance(by: .seconds(10))
        world.faulty.script(.list, .delay(.seconds(100)))
        let driver = driver
        async let exists = driver.exists(name)
        // The listing and the deadline of the lookup.
        await world.time.waitForSleepers(2)
        world.time.advance(by: limit)
        #expect(try await exists == (name == "known"))
        // Nobody waits again for a listing that did not come in time.
        world.time.advance(by: .seconds(2))
        #expect(try await driver.exists("known"))
        #expect(try await !driver.exists("other"))
        #expect(try await driver.list("") == ["known"])
    }

    @Test func afterAFailureTheNextListingThatSucceedsShowsTheNews() async throws {
        world.store.set("a", "1")
        _ = try await driver.list("")
        world.store.set("b", "2")
        world.time.advance(by: .seconds(10))
        world.faulty.script(.list, .failBefore(StoreError(.serverFault, message: "by a test")))
        #expect(try await !driver.exists("b"))
        world.time.advance(by: .seconds(5))
        #expect(try await driver.exists("a"))
        try await waitUntil { try await driver.exists("b") }
    }

    @Test func whatIsNotSentYetIsNotAskedFor() async throws {
        for _ in 0..<20 { world.faulty.script(.put, .failBefore(StoreError(.serverFault, message: "by a test"))) }
        try await driver.makeDirectory("d")
        let handle = try await driver.create("d/a")
        world.time.advance(by: .seconds(100))
        for _ in 0..<2 { world.faulty.script(.list, .delay(.seconds(100))) }
        #expect(try await driver.exists("d/a"))
        #expect(try await !driver.exists("d/new"))
        try await driver.writeFile("d/b", "made now")
        #expect(try await driver.exists("d/b"))
        driver.fileSystem.release(handle)
    }

    @Test func whilePausedNobodyWaits() async throws {
        world.store.set("known", "1")
        _ = try await driver.list("")
        world.writeback.pause()
        world.time.advance(by: .seconds(10))
        world.faulty.script(.list, .delay(.seconds(100)))
        #expect(try await driver.exists("known"))
        #expect(try await !driver.exists("new"))
    }

    @Test func aLargeDirectoryThatIsListedForTheFirstTimeIsWaitedForAsLongAsPagesCome() async throws {
        for index in 0..<3_000 { world.store.set("f\(index)", "1") }
        for _ in 0..<3 { world.faulty.script(.list, .delay(.seconds(8))) }
        let driver = driver
        async let names = driver.list("")
        for page in 0..<3 {
            await world.time.waitForSleepers(2)
            try await waitUntil { world.faulty.calls(.list) > page }
            await world.time.waitForSleepers(2)
            world.time.advance(by: .seconds(8))
        }
        #expect(try await names.count == 3_000)
    }

    @Test func anOpenFileKeepsItsVersionAndTheNameLeadsToTheNewOne() async throws {
        world.store.set("a", "old")
        let handle = try await driver.open("a", .read)
        #expect(try await driver.read(handle) == "old")
        world.store.set("a", "new, longer")
        world.time.advance(by: .seconds(10))
        #expect(try await driver.readFile("a") == "new, longer")
        #expect(try await driver.read(handle) == "old")
        driver.fileSystem.release(handle)
    }

    @Test func bytesOfAVersionThatIsGoneAreESTALE() async throws {
        let world = try World { $0.looksBringBytes = false }
        let driver = world.driver
        world.store.set("a", "old")
        let handle = try await driver.open("a", .read)
        world.store.set("a", "new")
        await #expect(throws: Errno.staleNFSFileHandle) { try await driver.read(handle) }
        driver.fileSystem.release(handle)
        try await waitUntil { try await driver.readFile("a") == "new" }
    }

    @Test func anObjectReplacedSinceItWasListedIsFoundAllTheSame() async throws {
        world.store.set("a", "old")
        #expect(try await driver.list("") == ["a"])
        // Its metadata was never asked for: that look finds the other version.
        world.store.set("a", "new, longer")
        #expect(try await driver.readFile("a") == "new, longer")
    }
}

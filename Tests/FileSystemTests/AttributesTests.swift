import Cache
import ObjectStore
import Platform
import TestKit
import Testing
import Transfer

import struct SystemPackage.Errno

@testable import FileSystem
@testable import WorldKit

/// Attributes of files on their way to the bucket, and what a file tells of its object.
@Suite struct AttributesTests {
    private static func modified(_ seconds: Int64) -> AttributeChange {
        var change = AttributeChange()
        change.modified = .at(Timestamp(seconds: seconds))
        return change
    }

    private static func owner(_ user: UInt32) -> AttributeChange {
        var change = AttributeChange()
        change.userID = user
        return change
    }

    /// A world with the file `a` in the bucket, as it was made here.
    private func world(_ policy: MetadataPolicy = .full) async throws -> World {
        let world = try World { $0.metadata = policy }
        _ = try await world.driver.list("")
        try await world.driver.writeFile("a", "content")
        try await world.drain()
        return world
    }

    private func metadata(_ world: World, _ key: String = "a") throws -> [String: String] {
        var metadata = try #require(world.store.info(ObjectKey(key))?.metadata)
        #expect(metadata.removeValue(forKey: "sluice-upload") != nil)
        return metadata
    }

    // MARK: Changes of attributes alone

    @Test func severalChangesAreOneCopyWithoutTheBytes() async throws {
        let world = try await world()
        let puts = world.faulty.calls(.put)
        for permissions: UInt16 in [0o600, 0o640, 0o400] { try await world.driver.setPermissions("a", permissions) }
        try await world.driver.set("a", Self.owner(7))
        try await world.driver.set("a", Self.modified(1_000))
        try await world.driver.setExtendedAttribute("a", "user.tag", "x")
        try await world.drain()
        #expect(world.faulty.calls(.copy) == 1)
        #expect(world.faulty.calls(.put) == puts && world.faulty.calls(.get) == 0)
        let metadata = try metadata(world)
        #expect(metadata["mode"] == "33024" && metadata["uid"] == "7" && metadata["mtime"] == "1000")
        #expect(world.store.text("a") == "content")
    }

    @Test func eachChangePutsTheCopyOffAgain() async throws {
        let world = try await world()
        for permissions: UInt16 in [0o600, 0o640, 0o400] {
            try await world.driver.setPermissions("a", permissions)
            await world.time.waitForSleepers()
            world.time.advance(by: .milliseconds(999))
            for _ in 0..<100 { await Task.yield() }
        }
        #expect(world.faulty.calls(.copy) == 0)
        try await waitUntil {
            world.time.advance(by: .milliseconds(100))
            return try await world.driver.extendedAttribute("a", "user.sluice.state") == "clean"
        }
        #expect(world.faulty.calls(.copy) == 1)
    }

    @Test func attributesOfUnsentBytesGoWithThem() async throws {
        let world = try World()
        try await world.driver.writeFile("a", "content")
        try await world.driver.setPermissions("a", 0o600)
        try await world.drain()
        #expect(world.faulty.calls(.put) == 1 && world.faulty.calls(.copy) == 0)
        #expect(try metadata(world)["mode"] == "33152")
    }

    @Test func attributesOfAFileThatIsBeingChangedGoWithItsNewBytes() async throws {
        let world = try await world()
        let handle = try await world.driver.open("a", [.read, .write])
        try world.driver.write(handle, "CONTENT")
        try await world.driver.setPermissions("a", 0o600)
        world.driver.fileSystem.release(handle)
        try await world.drain()
        #expect(world.faulty.calls(.put) == 2 && world.faulty.calls(.copy) == 0)
        #expect(try metadata(world)["mode"] == "33152" && world.store.text("a") == "CONTENT")
    }

    @Test func attributesOfAFileOfOthersCostNoDownload() async throws {
        let world = try World { $0.looksBringBytes = false }
        world.store.set("theirs", "a large file", metadata: ["mode": "33188", "camera": "left"])
        try await world.driver.setPermissions("theirs", 0o600)
        try await world.drain()
        #expect(world.faulty.calls(.get) == 0 && world.faulty.calls(.put) == 0 && world.faulty.calls(.copy) == 1)
        #expect(try metadata(world, "theirs")["mode"] == "33152")
        #expect(try metadata(world, "theirs")["camera"] == "left")
    }

    // MARK: What is written of them

    @Test func onlyTheTimeIsWrittenWhenNoMoreIsWanted() async throws {
        let world = try await world(.mtime)
        #expect(try Array(metadata(world).keys) == ["mtime"])
        let requests = world.faulty.allCalls
        try await world.driver.setPermissions("a", 0o600)
        try await world.driver.set("a", Self.owner(7))
        try await world.driver.setExtendedAttribute("a", "user.tag", "x")
        try await world.drain()
        #expect(world.faulty.allCalls == requests)
        #expect(try await world.driver.stat("a").permissions == 0o600)
        try await world.driver.set("a", Self.modified(1_000))
        try await world.drain()
        #expect(world.faulty.calls(.copy) == 1)
        #expect(try metadata(world) == ["mtime": "1000"])
    }

    @Test func nothingIsWrittenAndChangesCostNothingWhenNoneAreWanted() async throws {
        let world = try await world(.none)
        try await world.driver.makeDirectory("d")
        try await world.drain()
        #expect(try metadata(world).isEmpty && metadata(world, "d/").isEmpty)
        let requests = world.faulty.allCalls
        for path in ["a", "d"] {
            try await world.driver.setPermissions(path, 0o700)
            try await world.driver.set(path, Self.owner(7))
            try await world.driver.set(path, Self.modified(1_000))
            try await world.driver.setExtendedAttribute(path, "user.tag", "x")
        }
        world.time.advance(by: .milliseconds(1_500))
        try await world.drain()
        #expect(world.faulty.allCalls == requests)
        let attributes = try await world.driver.stat("a")
        #expect(attributes.permissions == 0o700 && attributes.userID == 7)
        #expect(attributes.modified == Timestamp(seconds: 1_000))
    }

    @Test(arguments: [MetadataPolicy.mtime, .none])
    func aMoveKeepsWhatOthersWrote(policy: MetadataPolicy) async throws {
        let world = try World { $0.metadata = policy }
        world.store.set("a", "1", metadata: ["mode": "33152", "uid": "3", "mtime": "1000", "camera": "left"])
        _ = try await world.driver.stat("a")
        try await world.driver.rename("a", "b")
        try await world.drain()
        #expect(try metadata(world, "b") == ["mode": "33152", "uid": "3", "mtime": "1000", "camera": "left"])
    }

    @Test(arguments: MetadataPolicy.allCases)
    func whatIsThereIsReadAlways(policy: MetadataPolicy) async throws {
        let world = try World { $0.metadata = policy }
        world.store.set("a", "1", metadata: ["mode": "33152", "uid": "3", "gid": "4", "mtime": "1000"])
        let attributes = try await world.driver.stat("a")
        #expect(attributes.permissions == 0o600 && attributes.userID == 3 && attributes.groupID == 4)
        #expect(attributes.modified == Timestamp(seconds: 1_000))
    }

    @Test(arguments: MetadataPolicy.allCases)
    func symbolicLinksStayLinks(policy: MetadataPolicy) async throws {
        let world = try World { $0.metadata = policy }
        try await world.driver.makeLink("link", to: "target")
        try await world.drain()
        #expect(try await World(store: world.store).driver.readLink("link") == "target")
    }

    @Test(arguments: MetadataPolicy.allCases)
    func anUploadWhoseAnswerWasLostIsKnownAgainAndSentOnce(policy: MetadataPolicy) async throws {
        let world = try World { $0.metadata = policy }
        world.faulty.script(.put, .lostAnswer)
        try await world.driver.writeFile("a", "content")
        try await waitUntil {
            world.time.advance(by: .milliseconds(100))
            return try await world.driver.extendedAttribute("a", "user.sluice.state") == "clean"
        }
        #expect(world.store.text("a") == "content")
        #expect(world.faulty.calls(.copy) == 0)
        #expect(try await world.driver.list("") == ["a"])
    }

    /// Else the look would end with what is shown of a directory without a marker.
    @Test func theMarkerOfADirectoryCountsThoughAListingCameUponItMeanwhile() async throws {
        let world = try World()
        world.store.set("d/", "", metadata: ["mode": "16832"])
        world.store.set("d/x", "1")
        _ = try await world.driver.list("")
        let number = try #require(try world.journal.read { try $0.inode(at: "d") }).number
        world.faulty.decide { $0 == .head ? .delay(.seconds(1)) : .none }
        let driver = world.driver
        async let status = driver.stat("d")
        try await waitUntil { world.faulty.calls(.head) == 1 }
        await withCheckedContinuation { done in world.fileSystem.lister.refresh(number) { _ in done.resume() } }
        #expect(try world.journal.read { try $0.inode(number) }?.remote?.key.string == "d/")
        world.time.advance(by: .seconds(1))
        #expect(try await status.permissions == 0o700)
        try await world.stop()
    }

    @Test(arguments: [FaultyStore.Fault.delay(.seconds(5)), .lostAnswer])
    func aTimeThatADirectoryGetsWhileItIsSentIsSentAsWell(fault: FaultyStore.Fault) async throws {
        let world = try World()
        world.faulty.script(.put, fault)
        try await world.driver.makeDirectory("d")
        try await waitUntil {
            world.time.advance(by: .milliseconds(100))
            return world.faulty.calls(.put) >= 1
        }
        try await world.driver.set("d", Self.modified(1_000))
        try await waitUntil {
            world.time.advance(by: .milliseconds(100))
            return try world.pending().isEmpty
        }
        #expect(try PosixMetadata(decoding: metadata(world, "d/")).modified == Timestamp(seconds: 1_000))
    }

    // MARK: What a file tells of its object

    @Test func aFileTellsItsKeyItsVersionAndWhetherItIsInTheBucket() async throws {
        let world = try World { $0.keyPrefix = "robot7/" }
        let driver = world.driver
        try await driver.makeDirectory("d")
        try await driver.writeFile("d/a", "one")
        #expect(try await driver.extendedAttribute("d/a", "user.sluice.state") == "dirty")
        #expect(try await driver.extendedAttribute("d/a", "user.sluice.key") == "robot7/d/a")
        #expect(try await driver.extendedAttribute("d", "user.sluice.state") == "dirty")
        await #expect(throws: Errno.noData) { try await driver.extendedAttribute("d/a", "user.sluice.etag") }
        try await world.drain()
        #expect(try await driver.extendedAttribute("d/a", "user.sluice.state") == "clean")
        let etag = try #require(world.store.info(ObjectKey("d/a"))?.etag.value)
        #expect(try await driver.extendedAttribute("d/a", "user.sluice.etag") == etag)
        #expect(try await driver.extendedAttribute("d", "user.sluice.state") == "clean")
        #expect(try await driver.extendedAttribute("d", "user.sluice.key") == "robot7/d/")
        try await driver.setPermissions("d/a", 0o600)
        #expect(try await driver.extendedAttribute("d/a", "user.sluice.state") == "updating")
        try await driver.rename("d/a", "b")
        #expect(try await driver.extendedAttribute("b", "user.sluice.state") == "moving")
        #expect(try await driver.extendedAttribute("b", "user.sluice.key") == "robot7/b")
    }

    @Test func aFileThatIsBeingSentSaysSo() async throws {
        let world = try World()
        world.faulty.script(.put, .delay(.seconds(5)))
        try await world.driver.writeFile("a", "one")
        await world.time.waitForSleepers()
        world.time.advance(by: .seconds(1))
        try await waitUntil { try await world.driver.extendedAttribute("a", "user.sluice.state") == "uploading" }
    }

    @Test func theRootHasNoObjectOfItsOwn() async throws {
        let driver = try World().driver
        #expect(try await driver.extendedAttribute("", "user.sluice.state") == "clean")
        for name in ["etag", "key", "none"] {
            await #expect(throws: Errno.noData) { try await driver.extendedAttribute("", "user.sluice.\(name)") }
        }
    }

    @Test func whatAFileTellsOfItsObjectIsNeitherListedNorChanged() async throws {
        let world = try World()
        // An attribute of that name in a bucket is nobody's business.
        world.store.set("a", "1", metadata: ["xattr": "{\"user.sluice.state\":\"eA==\",\"user.x\":\"eA==\"}"])
        let driver = world.driver
        let number = try await driver.stat("a").inode
        #expect(try driver.fileSystem.extendedAttributeNames(of: number) == ["user.x"])
        #expect(try await driver.extendedAttribute("a", "user.sluice.state") == "clean")
        for name in ["state", "etag", "key", "control", "of-nobody"] {
            await #expect(throws: Errno.notPermitted) {
                try await driver.setExtendedAttribute("a", "user.sluice.\(name)", "x")
            }
            #expect(throws: Errno.notPermitted) {
                try driver.fileSystem.removeExtendedAttribute("user.sluice.\(name)", of: number)
            }
        }
        await #expect(throws: Errno.noData) { try await driver.extendedAttribute("a", "user.sluice.control") }
    }
}

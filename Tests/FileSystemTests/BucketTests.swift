import Cache
import FileSystem
import ObjectStore
import Platform
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import WorldKit

/// What is in the bucket, seen through the file system, with and without a way to it.
@Suite struct BucketTests {
    let world: World
    let driver: FileSystemDriver

    init() async throws {
        world = try World()
        driver = world.driver
    }

    @Test func objectsAreFiles() async throws {
        world.store.set("d/e/x", "content")
        #expect(try await driver.list("") == ["d"])
        #expect(try await driver.list("d/e") == ["x"])
        #expect(try await driver.readFile("d/e/x") == "content")
    }

    @Test func attributesComeFromTheObjectsMetadata() async throws {
        world.store.set("a", "1", metadata: ["mode": "33152", "uid": "3", "gid": "4", "mtime": "1000.500000000"])
        world.store.set("link", "target/of it", metadata: ["mode": "41471"])
        let attributes = try await driver.stat("a")
        #expect(attributes.permissions == 0o600 && attributes.userID == 3 && attributes.groupID == 4)
        #expect(attributes.modified == Timestamp(seconds: 1000, nanoseconds: 500_000_000))
        #expect(try await driver.readLink("link") == "target/of it")
    }

    @Test func aFileIsFetchedOnce() async throws {
        world.store.set("a", "content")
        #expect(try await driver.readFile("a") == "content")
        let requests = world.faulty.calls(.get)
        #expect(try await driver.readFile("a") == "content")
        #expect(world.faulty.calls(.get) == requests)
    }

    @Test func unknownNamesOfAKnownDirectoryAskNobody() async throws {
        world.store.set("a", "1")
        #expect(try await driver.list("") == ["a"])
        let requests = world.faulty.allCalls
        for index in 0..<100 { #expect(try await !driver.exists("none\(index)")) }
        #expect(world.faulty.allCalls == requests)
    }

    @Test func withoutANetworkOneCanMakeAndWriteFiles() async throws {
        world.faulty.isOffline = true
        try await driver.writeFile("a.bag", "recorded")
        try await driver.makeDirectory("d")
        try await driver.writeFile("d/b", "more")
        #expect(try await driver.readFile("a.bag") == "recorded")
        #expect(try await driver.list("d") == ["b"])
    }

    @Test func withoutANetworkWhatIsKnownIsListedAndWhatIsCachedIsRead() async throws {
        world.store.set("cached", "here")
        world.store.set("remote", "there")
        #expect(try await driver.list("") == ["cached", "remote"])
        #expect(try await driver.readFile("cached") == "here")
        world.faulty.isOffline = true
        #expect(try await driver.list("") == ["cached", "remote"])
        #expect(try await driver.readFile("cached") == "here")
        await #expect(throws: Errno.ioError) { try await driver.readFile("remote") }
    }

    @Test func aRemoteFileIsOverwrittenInPlaceWithoutLosingTheRest() async throws {
        world.store.set("a", "0123456789")
        let handle = try await driver.open("a", [.read, .write])
        try driver.write(handle, "XY", at: 4)
        #expect(try await driver.read(handle) == "0123XY6789")
    }

    @Test func writesReachTheBucketAfterTheLastClose() async throws {
        let handle = try await driver.create("a")
        try driver.write(handle, "one")
        driver.fileSystem.release(handle)
        try await world.drain()
        #expect(world.store.text("a") == "one")
        #expect(world.store.info(ObjectKey("a"))?.metadata["mode"] == "33188")
    }

    @Test func aFileCreatedForReadingBecomesAnEmptyObject() async throws {
        driver.fileSystem.release(try await driver.create("lock", .read))
        #expect(await world.comesTrue { world.store.text("lock") == "" })
    }

    @Test func aRenameOfAnUploadedFileMovesItsObject() async throws {
        try await driver.writeFile("a", "one")
        try await world.drain()
        try await driver.rename("a", "b")
        try await world.drain()
        #expect(world.store.keys.map(\.string) == ["b"])
        #expect(world.store.text("b") == "one")
    }

    @Test func aRenameOfADirectoryMovesItsObjects() async throws {
        world.store.set("old/sub/remote", "r")
        try await driver.makeDirectory("old/made")
        try await driver.writeFile("old/local", "l")
        try await world.drain()
        try await driver.rename("old", "new")
        #expect(try await driver.readFile("new/local") == "l")
        try await world.drain()
        #expect(world.store.keys.map(\.string) == ["new/local", "new/made/", "new/sub/remote"])
        #expect(try await driver.readFile("new/sub/remote") == "r")
    }

    @Test func anUnlinkedFileLeavesTheBucket() async throws {
        try await driver.writeFile("a", "one")
        try await world.drain()
        try await driver.unlink("a")
        try await world.drain()
        #expect(world.store.keys.isEmpty)
    }

    @Test func aFileUnlinkedBeforeItsUploadNeverReachesTheBucket() async throws {
        try await driver.writeFile("a", "one")
        try await driver.unlink("a")
        try await world.drain()
        #expect(world.store.keys.isEmpty)
        #expect(world.faulty.calls(.put) == 0)
    }

    @Test func modesAndTimesChangedLaterReachTheBucketWithoutTheBytes() async throws {
        try await driver.writeFile("a", "one")
        try await world.drain()
        let puts = world.faulty.calls(.put)
        var change = AttributeChange()
        change.permissions = 0o600
        try await driver.with("a") {
            _ = try driver.fileSystem.setAttributes(of: $0.inode, change, caller: driver.caller)
        }
        try await world.drain()
        #expect(world.store.info(ObjectKey("a"))?.metadata["mode"] == "33152")
        #expect(world.store.text("a") == "one")
        #expect(world.faulty.calls(.put) == puts)
    }

    @Test func aNewMountWithAnEmptyStateDirectorySeesTheSame() async throws {
        try await driver.makeDirectory("d")
        try await driver.writeFile("d/a", "one")
        try await driver.makeLink("d/link", to: "a")
        try await world.drain()
        let other = try World(store: world.store)
        #expect(try await other.driver.readFile("d/a") == "one")
        #expect(try await other.driver.readLink("d/link") == "a")
        #expect(try await other.driver.stat("d/a").permissions == 0o644)
    }

    @Test func extendedAttributesOfFilesAndDirectoriesAreSeenByANewMount() async throws {
        let calls = LayerCalls(driver)
        try await calls.writeFile("file", "1")
        try await calls.makeDirectory("dir")
        for path in ["file", "dir"] {
            try await calls.setAttribute(path, "user.k", to: [1, 2], .create)
        }
        try await world.drain()
        try await Stage.layer.run(World(store: world.store)) { _, other in
            for path in ["file", "dir"] {
                let value = try await other.attribute(path, "user.k")
                #expect(value == [1, 2])
            }
        }
    }

    @Test func twoWritersOfOneNameBothKeepTheirBytes() async throws {
        world.store.set("a", "original")
        _ = try await driver.readFile("a")
        try await driver.writeFile("a", "ours")
        world.store.set("a", "theirs")
        try await world.drain()
        #expect(world.store.text("a") == "theirs")
        let names = try await driver.list("")
        let conflict = try #require(names.first { $0.hasPrefix("a.conflict-") })
        #expect(names.count == 2)
        #expect(world.store.text(conflict) == "ours")
        #expect(try await driver.readFile("a") == "theirs")
    }

    @Test func theOthersVersionOfAConflictGetsNoAttributesOfOurs() async throws {
        let calls = LayerCalls(driver)
        world.store.set("a", "original")
        try await calls.chmod("a", 0o600)
        try await calls.writeFile("a", "ours")
        world.store.set("a", "theirs")
        try await world.drain()
        let status = try await calls.status("a")
        #expect(status.permissions == 0o644 && status.userID == 0 && status.groupID == 0)
        #expect(try await calls.readFile("a") == "theirs")
    }

    @Test func whatIsWrittenAfterSomebodyElseReplacedTheObjectIsKept() async throws {
        try await driver.writeFile("a", "original")
        try await world.drain()
        let handle = try await driver.open("a", [.read, .write])
        world.store.set("a", "theirs")
        world.time.advance(by: .seconds(60))
        _ = try await driver.list("")
        try driver.write(handle, "ours")
        driver.fileSystem.release(handle)
        try await world.drain()
        world.time.advance(by: .seconds(60))
        let names = try await driver.list("")
        let conflict = try #require(names.first { $0.hasPrefix("a.conflict-") })
        #expect(world.store.text("a") == "theirs" && world.store.text(conflict) == "oursinal")
        #expect(try await driver.readFile("a") == "theirs")
    }
}

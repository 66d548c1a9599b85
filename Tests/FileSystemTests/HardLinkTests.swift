import Cache
import FileSystem
import ObjectStore
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import WorldKit

@Suite struct HardLinkTests {
    let world: World
    var driver: FileSystemDriver { world.driver }

    private var keys: [String] { world.store.keys.map(\.string) }

    init() throws {
        world = try World()
    }

    @Test func whatIsWrittenThroughOneNameReachesTheObjectsOfAllByItself() async throws {
        let calls = LayerCalls(world.driver)
        try await calls.writeFile("a", "1")
        try await calls.link("a", to: "b")
        try await world.drain()
        try await calls.writeFile("a", "2")
        #expect(await world.comesTrue { world.store.text("b") == "2" })
        try await calls.chmod("a", 0o600)
        #expect(await world.comesTrue { world.store.info(ObjectKey("b"))?.metadata["mode"] == "33152" })
    }

    @Test func twoNamesAreOneInodeAndTwoObjects() async throws {
        try await driver.writeFile("a", "bytes")
        try await driver.makeHardLink("b", to: "a")
        let (a, b) = (try await driver.stat("a"), try await driver.stat("b"))
        #expect(a.inode == b.inode && a.linkCount == 2 && b.linkCount == 2)
        #expect(try await driver.list("").sorted() == ["a", "b"])
        try await world.drain()
        #expect(world.store.text("a") == "bytes" && world.store.text("b") == "bytes")
    }

    @Test func aWriteThroughOneNameShowsUnderBothAndReachesBothObjects() async throws {
        try await driver.writeFile("a", "old")
        try await driver.makeHardLink("b", to: "a")
        try await world.drain()
        try await driver.writeFile("b", "newer")
        #expect(try await driver.readFile("a") == "newer")
        try await world.drain()
        #expect(world.store.text("a") == "newer" && world.store.text("b") == "newer")
    }

    @Test func aCopyWhoseAnswerWasLostIsReplacedByOneOfTheNextBytes() async throws {
        try await driver.writeFile("a", "1")
        try await driver.makeHardLink("b", to: "a")
        try await world.drain()
        let copies = world.faulty.calls(.copy)
        world.faulty.script(.copy, .lostAnswer)
        try await driver.writeFile("a", "22")
        #expect(await world.comesTrue { world.faulty.calls(.copy) > copies })
        try await driver.writeFile("a", "333")
        try await world.drain()
        #expect(keys == ["a", "b"])
        #expect(world.store.text("a") == "333" && world.store.text("b") == "333")
        #expect(try world.journal.read { try $0.events(.conflict) } == [])
    }

    @Test func attributesReachBothObjectsWithoutTheBytes() async throws {
        try await driver.writeFile("a", "bytes")
        try await driver.makeHardLink("b", to: "a")
        try await world.drain()
        var change = AttributeChange()
        change.permissions = 0o600
        try await driver.with("b") { [change] inode in
            _ = try driver.fileSystem.setAttributes(of: inode.inode, change, caller: driver.caller)
        }
        try await world.drain()
        for key in ["a", "b"] { #expect(world.store.info(ObjectKey(key))?.metadata["mode"] == "33152") }
    }

    /// zarr 3 makes its groups like that: link(temporary, name), unlink(temporary).
    @Test(arguments: [false, true]) func theFirstNameMayGo(isUploaded: Bool) async throws {
        try await driver.writeFile("tmp", "bytes")
        if isUploaded { try await world.drain() }
        try await driver.makeHardLink("name", to: "tmp")
        if isUploaded { try await world.drain() }
        let inode = try await driver.stat("tmp").inode
        try await driver.unlink("tmp")
        let left = try await driver.stat("name")
        #expect(left.inode == inode && left.linkCount == 1)
        #expect(try await driver.readFile("name") == "bytes")
        try await world.drain()
        #expect(keys == ["name"])
        #expect(world.store.text("name") == "bytes")
    }

    @Test func theFirstNameMayGoBeforeTheSecondHasItsObject() async throws {
        try await driver.writeFile("a", "bytes")
        try await world.drain()
        try await driver.makeHardLink("b", to: "a")
        try await driver.unlink("a")
        try await world.drain()
        #expect(keys == ["b"] && world.store.text("b") == "bytes")
    }

    @Test func aFurtherNameMayGo() async throws {
        try await driver.writeFile("a", "bytes")
        try await driver.makeHardLink("b", to: "a")
        try await world.drain()
        try await driver.unlink("b")
        #expect(try await driver.stat("a").linkCount == 1)
        try await world.drain()
        #expect(keys == ["a"])
    }

    @Test func everyNameCanBeRenamed() async throws {
        try await driver.writeFile("a", "bytes")
        try await driver.makeHardLink("b", to: "a")
        try await world.drain()
        try await driver.rename("b", "c")
        try await driver.rename("a", "b")
        #expect(try await driver.stat("b").inode == driver.stat("c").inode)
        try await world.drain()
        #expect(keys == ["b", "c"])
        #expect(world.store.text("b") == "bytes" && world.store.text("c") == "bytes")
    }

    @Test func namesThatTradePlacesKeepTheirBytes() async throws {
        try await driver.writeFile("a", "bytes")
        try await driver.makeHardLink("b", to: "a")
        try await world.drain()
        try await driver.writeFile("a", "changed")
        try await driver.rename("b", "t")
        try await driver.rename("a", "b")
        try await driver.rename("t", "a")
        try await world.drain()
        #expect(keys == ["a", "b"])
        #expect(world.store.text("a") == "changed" && world.store.text("b") == "changed")
    }

    @Test func renamingOneNameOverTheOtherDoesNothing() async throws {
        try await driver.writeFile("a", "bytes")
        try await driver.makeHardLink("b", to: "a")
        try await driver.rename("a", "b")
        #expect(try await driver.list("").sorted() == ["a", "b"])
    }

    @Test func aRenameOverOneNameLeavesTheOther() async throws {
        try await driver.writeFile("a", "linked")
        try await driver.makeHardLink("b", to: "a")
        try await driver.writeFile("other", "other")
        try await world.drain()
        try await driver.rename("other", "a")
        #expect(try await driver.readFile("a") == "other")
        #expect(try await driver.readFile("b") == "linked")
        #expect(try await driver.stat("b").linkCount == 1)
        try await world.drain()
        #expect(keys == ["a", "b"])
        #expect(world.store.text("a") == "other" && world.store.text("b") == "linked")
    }

    @Test func aNameThatSomebodyElseReplacedIsAFileOfItsOwn() async throws {
        try await driver.writeFile("a", "ours")
        try await driver.makeHardLink("b", to: "a")
        try await world.drain()
        world.store.set("a", "theirs")
        world.time.advance(by: .seconds(60))
        _ = try await driver.list("")
        #expect(try await driver.readFile("a") == "theirs")
        #expect(try await driver.readFile("b") == "ours")
        #expect(try await driver.stat("b").linkCount == 1)
        try await driver.writeFile("b", "ours again")
        try await world.drain()
        #expect(world.store.text("a") == "theirs" && world.store.text("b") == "ours again")
    }

    @Test func whatCannotBeLinkedIsRefused() async throws {
        try await driver.makeDirectory("d")
        try await driver.writeFile("a", "")
        try await driver.writeFile("b", "")
        await #expect(throws: Errno.notPermitted) { try await driver.makeHardLink("e", to: "d") }
        await #expect(throws: Errno.fileExists) { try await driver.makeHardLink("b", to: "a") }
        let handle = try await driver.open("a", .read)
        let inode = try await driver.stat("a").inode
        try await driver.unlink("a")
        #expect(throws: Errno.noSuchFileOrDirectory) {
            try driver.fileSystem.makeHardLink(#require(FileName("c")), in: .root, to: inode)
        }
        driver.fileSystem.release(handle)
    }

    @Test(arguments: [InodeKind.pipe, .socket, .characterDevice, .blockDevice])
    func whatIsNoFileIsAnEmptyObjectThatSaysWhatItIs(kind: InodeKind) async throws {
        try await driver.makeNode("node", kind, device: kind.isDevice ? 0x0801 : 0)
        try await world.drain()
        #expect(world.store.text("node")?.isEmpty == true)
        let other = try World(store: world.store)
        let seen = try await other.driver.stat("node")
        #expect(seen.kind == kind && seen.permissions == 0o640)
        #expect(seen.device == (kind.isDevice ? 0x0801 : 0))
    }
}

import Cache
import FileSystem
import ObjectStore
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import WorldKit

/// An object whose key is a directory as well is reached under a name with a suffix.
@Suite struct CoveredNamesTests {
    let world: World
    let driver: FileSystemDriver

    init() async throws {
        world = try World()
        driver = world.driver
        world.store.set("d/a", "the object", metadata: ["mode": "33152"])
        world.store.set("d/a/x", "below it")
        _ = try await driver.list("d")
        _ = try await driver.list("d/a")
    }

    private var keys: [String] { world.store.keys.map(\.string) }

    @Test func itIsListedReadAndKnownByItsAttributes() async throws {
        #expect(try await driver.list("d") == ["a", "a.sluice-object"])
        #expect(try await driver.readFile("d/a.sluice-object") == "the object")
        #expect(try await driver.stat("d/a.sluice-object").permissions == 0o600)
        #expect(try await driver.readFile("d/a/x") == "below it")
    }

    @Test func writingToItKeepsItsKey() async throws {
        try await driver.writeFile("d/a.sluice-object", "changed here")
        try await world.drain()
        #expect(world.store.text("d/a") == "changed here")
        #expect(keys == ["d/a", "d/a/x"])
        #expect(try await driver.list("d") == ["a", "a.sluice-object"])
    }

    @Test func changingItsAttributesKeepsItsKey() async throws {
        try await driver.setPermissions("d/a.sluice-object", 0o640)
        try await world.drain()
        #expect(world.store.info(ObjectKey("d/a"))?.metadata["mode"] == "33184")
        #expect(keys == ["d/a", "d/a/x"])
    }

    @Test func unlinkingItDeletesTheObjectAndLeavesTheDirectory() async throws {
        try await driver.unlink("d/a.sluice-object")
        try await world.drain()
        #expect(keys == ["d/a/x"])
        #expect(try await driver.list("d") == ["a"])
    }

    @Test func renamedItIsAnOrdinaryFile() async throws {
        try await driver.rename("d/a.sluice-object", "d/b")
        try await world.drain()
        #expect(keys == ["d/a/x", "d/b"])
        #expect(world.store.text("d/b") == "the object")
    }

    @Test func itMovesWithItsDirectory() async throws {
        try await driver.rename("d", "e")
        try await world.drain()
        #expect(keys == ["e/a", "e/a/x"])
        #expect(try await driver.list("e") == ["a", "a.sluice-object"])
    }

    @Test func withoutTheDirectoryItGetsItsNameBack() async throws {
        try await driver.unlink("d/a/x")
        try await driver.removeDirectory("d/a")
        try await world.drain()
        world.time.advance(by: .seconds(10))
        #expect(try await driver.list("d") == ["a"])
        #expect(try await driver.readFile("d/a") == "the object")
        #expect(keys == ["d/a"])
    }

    @Test func noProgramMakesNamesThatEndSo() async throws {
        await #expect(throws: Errno.notPermitted) { _ = try await driver.create("d/b.sluice-object") }
        await #expect(throws: Errno.notPermitted) { try await driver.makeDirectory("b.sluice-object") }
        try await driver.writeFile("c", "1")
        await #expect(throws: Errno.notPermitted) { try await driver.rename("c", "d/a.sluice-object") }
        await #expect(throws: Errno.notPermitted) { try await driver.rename("c", "d/a.sluice-object", .exchange) }
        #expect(try await driver.readFile("d/a.sluice-object") == "the object")
    }

    @Test func whatSomebodyElseWroteMeanwhileIsKept() async throws {
        _ = try await driver.readFile("d/a.sluice-object")
        try await driver.writeFile("d/a.sluice-object", "ours")
        world.store.set("d/a", "theirs")
        try await world.drain()
        #expect(world.store.text("d/a") == "theirs")
        let names = try await driver.list("d")
        let conflict = try #require(names.first { $0.hasPrefix("a.sluice-object.conflict-") })
        #expect(world.store.text("d/\(conflict)") == "ours")
        #expect(try await driver.readFile("d/a.sluice-object") == "theirs")
    }
}

import Cache
import FileSystem
import TestKit
import Testing

import struct SystemPackage.Errno

/// Names: making, finding, renaming and removing them.
@Suite struct NamesTests {
    let world: World
    let driver: FileSystemDriver

    init() async throws {
        world = try World()
        driver = world.driver
    }

    @Test func whatWasWrittenIsReadAtOnceThroughAnotherHandle() async throws {
        let writer = try await driver.create("a.bag")
        try driver.write(writer, "hello")
        #expect(try await driver.readFile("a.bag") == "hello")
        #expect(try await driver.stat("a.bag").size == 5)
    }

    @Test func namesThatAreTakenAreRefused() async throws {
        try await driver.writeFile("a", "1")
        await #expect(throws: Errno.fileExists) { try await driver.create("a") }
        await #expect(throws: Errno.fileExists) { try await driver.makeDirectory("a") }
        await #expect(throws: Errno.fileExists) { try await driver.makeLink("a", to: "b") }
    }

    @Test func missingNamesAndWrongKindsAreRefused() async throws {
        try await driver.writeFile("file", "1")
        try await driver.makeDirectory("dir")
        await #expect(throws: Errno.noSuchFileOrDirectory) { try await driver.stat("none") }
        await #expect(throws: Errno.noSuchFileOrDirectory) { try await driver.unlink("none") }
        await #expect(throws: Errno.isDirectory) { try await driver.unlink("dir") }
        await #expect(throws: Errno.notDirectory) { try await driver.removeDirectory("file") }
        await #expect(throws: Errno.notDirectory) { try await driver.stat("file/x") }
        await #expect(throws: Errno.isDirectory) { try await driver.open("dir", .read) }
    }

    @Test func aFileUnlinkedWhileOpenStaysUsable() async throws {
        let handle = try await driver.create("a")
        try driver.write(handle, "still here")
        try await driver.unlink("a")
        #expect(try await !driver.exists("a"))
        try driver.write(handle, "STILL")
        #expect(try await driver.read(handle) == "STILL here")
        driver.fileSystem.release(handle)
        try world.cache.flush()
        #expect(try world.journal.read { try $0.orphans() }.isEmpty)
    }

    @Test func aNameMadeAgainGetsANewInode() async throws {
        try await driver.writeFile("a", "1")
        let old = try await driver.stat("a").inode
        try await driver.unlink("a")
        try await driver.writeFile("a", "2")
        #expect(try await driver.stat("a").inode != old)
    }

    @Test func aFileRenamedWhileOpenIsWrittenUnderItsNewName() async throws {
        let handle = try await driver.create("X.bag.active")
        try driver.write(handle, "one")
        try await driver.rename("X.bag.active", "X.bag")
        try driver.write(handle, "two", at: 3)
        driver.fileSystem.release(handle)
        #expect(try await driver.readFile("X.bag") == "onetwo")
        #expect(try await driver.list("") == ["X.bag"])
    }

    @Test func renameReplacesItsTargetAndItsReadersKeepIt() async throws {
        try await driver.writeFile("old", "old")
        try await driver.writeFile("new", "new")
        let reader = try await driver.open("old", .read)
        try await driver.rename("new", "old")
        #expect(try await driver.readFile("old") == "new")
        #expect(try await driver.read(reader) == "old")
        #expect(try await driver.list("") == ["old"])
    }

    @Test func renameFollowsTheKinds() async throws {
        try await driver.writeFile("file", "1")
        try await driver.makeDirectory("empty")
        try await driver.makeDirectory("full")
        try await driver.writeFile("full/x", "1")
        await #expect(throws: Errno.isDirectory) { try await driver.rename("file", "empty") }
        await #expect(throws: Errno.notDirectory) { try await driver.rename("empty", "file") }
        await #expect(throws: Errno.directoryNotEmpty) { try await driver.rename("empty", "full") }
        await #expect(throws: Errno.invalidArgument) { try await driver.rename("full", "full/inside") }
        try await driver.rename("full", "empty")
        #expect(try await driver.readFile("empty/x") == "1")
        #expect(try await driver.list("") == ["empty", "file"])
    }

    @Test func renameFlagsAreHonoured() async throws {
        try await driver.writeFile("a", "1")
        try await driver.writeFile("b", "2")
        await #expect(throws: Errno.fileExists) { try await driver.rename("a", "b", .noReplace) }
        await #expect(throws: Errno.noSuchFileOrDirectory) { try await driver.rename("a", "c", .exchange) }
        try await driver.rename("a", "b", .exchange)
        #expect(try await driver.readFile("a") == "2")
        #expect(try await driver.readFile("b") == "1")
        try await driver.rename("a", "c", .noReplace)
        #expect(try await driver.list("") == ["b", "c"])
    }

    @Test func onlyEmptyDirectoriesAreRemoved() async throws {
        try await driver.makeDirectory("d")
        try await driver.writeFile("d/x", "1")
        await #expect(throws: Errno.directoryNotEmpty) { try await driver.removeDirectory("d") }
        try await driver.unlink("d/x")
        try await driver.removeDirectory("d")
        #expect(try await driver.list("").isEmpty)
    }

    @Test func aNameThatMakesTheKeyTooLongIsRefusedWhenItIsMade() async throws {
        let long = String(repeating: "n", count: 250)
        var path = long
        for _ in 0..<3 {
            try await driver.makeDirectory(path)
            path += "/" + long
        }
        try await driver.makeDirectory(path)
        await #expect(throws: Errno.fileNameTooLong) { try await driver.create(path + "/" + long) }
        try await driver.writeFile(path + "/short", "1")
        try await driver.makeDirectory("longer-than-before-so-that-keys-below-do-not-fit")
        await #expect(throws: Errno.fileNameTooLong) {
            try await driver.rename(long, "longer-than-before-so-that-keys-below-do-not-fit/" + long)
        }
        #expect(try await driver.readFile(path + "/short") == "1")
    }

    @Test func aDirectoryStreamGivesEachNameOnceWhileNamesComeAndGo() async throws {
        for index in 0..<20 { try await driver.writeFile("f\(index)", "") }
        let handle = try await driver.wait { driver.fileSystem.openDirectory(.root, reply: $0) }
        var seen: [String] = []
        var offset: Int64 = 0
        while true {
            var next: DirectoryEntry?
            try driver.fileSystem.readDirectory(handle, offset: offset, withAttributes: false) { entry in
                guard next == nil else { return false }
                next = entry
                return true
            }
            guard let entry = next else { break }
            offset = entry.nextOffset
            seen.append(entry.name)
            if entry.name.hasPrefix("f") { try await driver.unlink(entry.name) }
            if seen.count < 10 { try await driver.writeFile("g\(seen.count)", "") }
        }
        #expect(seen.sorted() == ([".", ".."] + (0..<20).map { "f\($0)" }).sorted())
        let again = try driver.readAll(handle, batch: 100)
        #expect(again.sorted() == (1..<10).map { "g\($0)" }.sorted())
    }

    @Test func symbolicLinksKeepTheirTargets() async throws {
        for target in ["x", "../up/there", "/absolute", String(repeating: "t", count: 4095)] {
            try await driver.makeLink("link", to: target)
            #expect(try await driver.readLink("link") == target)
            let attributes = try await driver.stat("link")
            #expect(attributes.kind == .symbolicLink && attributes.size == target.utf8.count)
            try await driver.unlink("link")
        }
        await #expect(throws: Errno.fileNameTooLong) {
            try await driver.makeLink("link", to: String(repeating: "t", count: 4096))
        }
    }

    @Test func nothingChangesInAReadOnlyMount() async throws {
        world.store.set("a", "1")
        let world = try World(store: world.store) { $0.isReadOnly = true }
        let driver = world.driver
        #expect(try await driver.readFile("a") == "1")
        await #expect(throws: Errno.readOnlyFileSystem) { try await driver.create("b") }
        await #expect(throws: Errno.readOnlyFileSystem) { try await driver.unlink("a") }
        await #expect(throws: Errno.readOnlyFileSystem) { try await driver.rename("a", "b") }
        await #expect(throws: Errno.readOnlyFileSystem) { try await driver.open("a", .write) }
        await #expect(throws: Errno.readOnlyFileSystem) { try await driver.makeDirectory("d") }
        let attributes = try await driver.stat("a")
        var change = AttributeChange()
        change.permissions = 0
        #expect(throws: Errno.readOnlyFileSystem) {
            try driver.fileSystem.setAttributes(of: attributes.inode, change, caller: driver.caller)
        }
    }
}

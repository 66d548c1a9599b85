import Cache
import FileSystem
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import WorldKit

/// Names: making, finding, renaming and removing them.
@Suite struct NamesTests {
    @Test(arguments: Stage.allCases)
    func whatWasWrittenIsReadAtOnceThroughAnotherHandle(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            let writer = try await calls.create("a.bag")
            try await calls.write(writer, "hello")
            #expect(try await calls.readFile("a.bag") == "hello")
            #expect(try await calls.status("a.bag").size == 5)
            try await calls.close(writer)
        }
    }

    @Test(arguments: Stage.allCases)
    func namesThatAreTakenAreRefused(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            try await calls.writeFile("a", "1")
            await #expect(throws: Errno.fileExists) { try await calls.create("a") }
            await #expect(throws: Errno.fileExists) { try await calls.makeDirectory("a") }
            await #expect(throws: Errno.fileExists) { try await calls.makeLink("a", to: "b") }
        }
    }

    @Test(arguments: Stage.allCases)
    func missingNamesAndWrongKindsAreRefused(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            try await calls.writeFile("file", "1")
            try await calls.makeDirectory("dir")
            await #expect(throws: Errno.noSuchFileOrDirectory) { try await calls.status("none") }
            await #expect(throws: Errno.noSuchFileOrDirectory) { try await calls.unlink("none") }
            await #expect(throws: Errno.isDirectory) { try await calls.unlink("dir") }
            await #expect(throws: Errno.notDirectory) { try await calls.removeDirectory("file") }
            await #expect(throws: Errno.notDirectory) { try await calls.status("file/x") }
            await #expect(throws: Errno.isDirectory) { try await calls.open("dir", .write) }
        }
    }

    @Test(arguments: Stage.allCases)
    func aFileUnlinkedWhileOpenStaysUsable(_ stage: Stage) async throws {
        try await stage.run { world, calls in
            let file = try await calls.create("a")
            try await calls.write(file, "still here")
            try await calls.unlink("a")
            #expect(try await !calls.exists("a"))
            try await calls.write(file, "STILL")
            #expect(try await calls.read(file) == "STILL here")
            try await calls.close(file)
            // The kernel tells of the close in its own time.
            let isForgotten = try await eventually {
                try world.cache.flush()
                return try world.journal.read { try $0.orphans() }.isEmpty
            }
            #expect(isForgotten)
        }
    }

    @Test func aNameMadeAgainGetsANewInode() async throws {
        try await Stage.layer.run { world, _ in
            let driver = world.driver
            try await driver.writeFile("a", "1")
            let old = try await driver.stat("a").inode
            try await driver.unlink("a")
            try await driver.writeFile("a", "2")
            #expect(try await driver.stat("a").inode != old)
        }
    }

    @Test(arguments: Stage.allCases)
    func aFileRenamedWhileOpenIsWrittenUnderItsNewName(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            let file = try await calls.create("X.bag.active")
            try await calls.write(file, "one")
            try await calls.rename("X.bag.active", to: "X.bag")
            try await calls.write(file, "two", at: 3)
            try await calls.close(file)
            #expect(try await calls.readFile("X.bag") == "onetwo")
            #expect(try await calls.list("") == ["X.bag"])
        }
    }

    @Test(arguments: Stage.allCases)
    func renameReplacesItsTargetAndItsReadersKeepIt(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            try await calls.writeFile("old", "old")
            try await calls.writeFile("new", "new")
            let reader = try await calls.open("old", .read)
            try await calls.rename("new", to: "old")
            #expect(try await calls.readFile("old") == "new")
            #expect(try await calls.read(reader) == "old")
            #expect(try await calls.list("") == ["old"])
            try await calls.close(reader)
        }
    }

    @Test(arguments: Stage.allCases)
    func renameFollowsTheKinds(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            try await calls.writeFile("file", "1")
            try await calls.makeDirectory("empty")
            try await calls.makeDirectory("full")
            try await calls.writeFile("full/x", "1")
            await #expect(throws: Errno.isDirectory) { try await calls.rename("file", to: "empty") }
            await #expect(throws: Errno.notDirectory) { try await calls.rename("empty", to: "file") }
            await #expect(throws: Errno.directoryNotEmpty) { try await calls.rename("empty", to: "full") }
            await #expect(throws: Errno.invalidArgument) { try await calls.rename("full", to: "full/inside") }
            try await calls.rename("full", to: "empty")
            #expect(try await calls.readFile("empty/x") == "1")
            #expect(try await calls.list("") == ["empty", "file"])
        }
    }

    @Test(arguments: Stage.allCases)
    func renameFlagsAreHonoured(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            try await calls.writeFile("a", "1")
            try await calls.writeFile("b", "2")
            await #expect(throws: Errno.fileExists) { try await calls.rename("a", to: "b", .noReplace) }
            await #expect(throws: Errno.noSuchFileOrDirectory) { try await calls.rename("a", to: "c", .exchange) }
            try await calls.rename("a", to: "b", .exchange)
            #expect(try await calls.readFile("a") == "2")
            #expect(try await calls.readFile("b") == "1")
            try await calls.rename("a", to: "c", .noReplace)
            #expect(try await calls.list("") == ["b", "c"])
        }
    }

    @Test(arguments: Stage.allCases)
    func onlyEmptyDirectoriesAreRemoved(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            try await calls.makeDirectory("d")
            try await calls.writeFile("d/x", "1")
            await #expect(throws: Errno.directoryNotEmpty) { try await calls.removeDirectory("d") }
            try await calls.unlink("d/x")
            try await calls.removeDirectory("d")
            #expect(try await calls.list("").isEmpty)
        }
    }

    @Test(arguments: Stage.allCases)
    func aNameThatMakesTheKeyTooLongIsRefusedWhenItIsMade(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            let long = String(repeating: "n", count: 250)
            var path = long
            for _ in 0..<3 {
                try await calls.makeDirectory(path)
                path += "/" + long
            }
            try await calls.makeDirectory(path)
            let tooLong = path + "/" + long
            await #expect(throws: Errno.fileNameTooLong) { try await calls.create(tooLong) }
            try await calls.writeFile(path + "/short", "1")
            let longer = "longer-than-before-so-that-keys-below-do-not-fit"
            try await calls.makeDirectory(longer)
            await #expect(throws: Errno.fileNameTooLong) { try await calls.rename(long, to: longer + "/" + long) }
            #expect(try await calls.readFile(path + "/short") == "1")
        }
    }

    @Test func aDirectoryStreamGivesEachNameOnceWhileNamesComeAndGo() async throws {
        try await Stage.layer.run { world, _ in
            let driver = world.driver
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
            let again = try await driver.readAll(handle, batch: 100)
            #expect(again.sorted() == (1..<10).map { "g\($0)" }.sorted())
        }
    }

    @Test(arguments: Stage.allCases)
    func symbolicLinksKeepTheirTargets(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            for target in ["x", "../up/there", "/absolute", String(repeating: "t", count: 4095)] {
                try await calls.makeLink("link", to: target)
                #expect(try await calls.readLink("link") == target)
                let status = try await calls.status("link")
                #expect(status.kind == .link && status.size == target.utf8.count)
                try await calls.unlink("link")
            }
            await #expect(throws: Errno.fileNameTooLong) {
                try await calls.makeLink("link", to: String(repeating: "t", count: 4096))
            }
        }
    }

    @Test(arguments: Stage.allCases)
    func nothingChangesInAReadOnlyMount(_ stage: Stage) async throws {
        let world = try World { $0.isReadOnly = true }
        world.store.set("a", "1")
        try await stage.run(world) { _, calls in
            let text = try await calls.readFile("a")
            #expect(text == "1")
            await #expect(throws: Errno.readOnlyFileSystem) { try await calls.create("b") }
            await #expect(throws: Errno.readOnlyFileSystem) { try await calls.unlink("a") }
            await #expect(throws: Errno.readOnlyFileSystem) { try await calls.rename("a", to: "b") }
            await #expect(throws: Errno.readOnlyFileSystem) { try await calls.open("a", .write) }
            await #expect(throws: Errno.readOnlyFileSystem) { try await calls.makeDirectory("d") }
            await #expect(throws: Errno.readOnlyFileSystem) { try await calls.chmod("a", 0) }
        }
    }
}

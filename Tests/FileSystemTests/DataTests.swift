import Cache
import FileSystem
import Platform
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import WorldKit

/// Bytes and attributes.
@Suite struct DataTests {
    @Test(arguments: Stage.allCases)
    func holesReadAsZeros(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            let file = try await calls.create("a")
            try await calls.write(file, "x", at: 3)
            #expect(try await calls.read(file) == "\0\0\0x")
            #expect(try await calls.read(file, at: 4) == "")
            #expect(try await calls.read(file, at: 100) == "")
            try await calls.close(file)
        }
    }

    @Test(arguments: Stage.allCases)
    func truncationCutsAndExtendsWithZeros(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            try await calls.writeFile("a", "abcdef")
            try await calls.truncate("a", to: 2)
            try await calls.truncate("a", to: 4)
            #expect(try await calls.readFile("a") == "ab\0\0")
            await #expect(throws: Errno.invalidArgument) { try await calls.truncate("a", to: -1) }
        }
    }

    @Test(arguments: Stage.allCases)
    func openingWithTruncationEmptiesTheFile(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            try await calls.writeFile("a", "abcdef")
            let file = try await calls.open("a", [.write, .truncate])
            #expect(try await calls.status("a").size == 0)
            try await calls.write(file, "x")
            try await calls.close(file)
            #expect(try await calls.readFile("a") == "x")
        }
    }

    @Test func onlyHandlesOpenForWritingWrite() async throws {
        try await Stage.layer.run { world, _ in
            let driver = world.driver
            try await driver.writeFile("a", "abc")
            let handle = try await driver.open("a", .read)
            #expect(throws: Errno.badFileDescriptor) { try driver.write(handle, "x") }
            driver.fileSystem.release(handle)
            await #expect(throws: Errno.badFileDescriptor) { try await driver.read(handle) }
        }
    }

    @Test(arguments: Stage.allCases)
    func attributesAreKept(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            let (user, group) = stage.mayGiveAway ? (5, 6) : stage.owner
            let file = try await calls.create("a", 0o640)
            try await calls.chmod("a", 0o600)
            try await calls.chown("a", user: user, group: group)
            try await calls.setModified("a", seconds: 1000, nanoseconds: 123_456_789)
            try await calls.close(file)
            let status = try await calls.status("a")
            #expect(status.permissions == 0o600 && status.userID == user && status.groupID == group)
            #expect(status.modified == Timestamp(seconds: 1000, nanoseconds: 123_456_789))
        }
    }

    @Test(arguments: Stage.allCases)
    func writingMovesTheModificationTimeAndChmodDoesNot(_ stage: Stage) async throws {
        try await stage.run { world, calls in
            let file = try await calls.create("a")
            world.time.setWall(Timestamp(seconds: 2_000_000_000))
            try await calls.write(file, "x")
            #expect(try await calls.status("a").modified == Timestamp(seconds: 2_000_000_000))
            world.time.setWall(Timestamp(seconds: 2_000_000_100))
            try await calls.chmod("a", 0o600)
            #expect(try await calls.status("a").modified == Timestamp(seconds: 2_000_000_000))
            #expect(try await world.driver.stat("a").changed == Timestamp(seconds: 2_000_000_100))
            try await calls.close(file)
        }
    }

    @Test(arguments: Stage.allCases)
    func theFirstWriteTakesSetIDBitsAway(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            try await calls.writeFile("a", "1")
            try await calls.chmod("a", 0o6755)
            let file = try await calls.open("a", .write)
            #expect(try await calls.status("a").permissions == 0o6755)
            try await calls.write(file, "x")
            #expect(try await calls.status("a").permissions == 0o755)
            try await calls.close(file)
        }
    }

    @Test(arguments: Stage.allCases)
    func writingThroughAHandleThatWasOpenBeforeTakesSetIDBitsAway(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            let file = try await calls.create("a")
            for _ in 0..<2 {
                try await calls.chmod("a", 0o6755)
                try await calls.write(file, "x")
                #expect(try await calls.status("a").permissions == 0o755)
            }
            try await calls.close(file)
        }
    }

    @Test(arguments: Stage.allCases)
    func cuttingAFileAndGivingItAwayTakeSetIDBitsAway(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            let (user, group) = stage.mayGiveAway ? (5, 6) : stage.owner
            try await calls.writeFile("a", "1")
            try await calls.chmod("a", 0o6755)
            try await calls.truncate("a", to: 0)
            #expect(try await calls.status("a").permissions == 0o755)
            try await calls.chmod("a", 0o6755)
            try await calls.close(calls.open("a", [.write, .truncate]))
            #expect(try await calls.status("a").permissions == 0o755)
            try await calls.chmod("a", 0o6755)
            try await calls.chown("a", user: user, group: group)
            #expect(try await calls.status("a").permissions == 0o755)
        }
    }

    @Test(arguments: Stage.allCases)
    func extendedAttributesOfUsersAreKeptAndOthersRefused(_ stage: Stage) async throws {
        try await stage.run { _, calls in
            try await calls.writeFile("a", "1")
            try await calls.setAttribute("a", "user.k", to: [1, 2], .create)
            #expect(try await calls.attribute("a", "user.k") == [1, 2])
            #expect(try await calls.attributeNames("a") == ["user.k"])
            await #expect(throws: Errno.fileExists) { try await calls.setAttribute("a", "user.k", to: [], .create) }
            await #expect(throws: Errno.noData) { try await calls.setAttribute("a", "user.none", to: [], .replace) }
            await #expect(throws: Errno.noSpace) {
                try await calls.setAttribute("a", "user.big", to: Array(repeating: 0, count: 4000), .createOrReplace)
            }
            try await calls.setAttribute("a", "user.k", to: [], .replace)
            #expect(try await calls.attribute("a", "user.k") == [])
            try await calls.removeAttribute("a", "user.k")
            await #expect(throws: Errno.noData) { try await calls.attribute("a", "user.k") }
            #expect(try await calls.attributeNames("a") == [])
            let list = "system.posix_acl_access"
            await #expect(throws: Errno.notSupported) {
                try await calls.setAttribute("a", list, to: stage.emptyAccessList, .createOrReplace)
            }
        }
    }

    @Test(arguments: Stage.allCases)
    func theMountsOptionsDecideWhatIsShown(_ stage: Stage) async throws {
        let world = try World {
            $0.userID = 11
            $0.groupID = 12
            $0.umask = 0o077
        }
        world.store.set("a", "1")
        try await stage.run(world) { _, calls in
            let status = try await calls.status("a")
            #expect(status.userID == 11 && status.groupID == 12 && status.permissions == 0o600)
        }
    }

    @Test func statisticsTellTheRealBudget() async throws {
        let world = try World()
        let driver = world.driver
        let before = try driver.fileSystem.statistics()
        #expect(before.availableBlocks * UInt64(before.blockSize) <= UInt64(world.cache.limits.limit))
        let handle = try await driver.create("a")
        try driver.write(handle, String(repeating: "x", count: 1 << 20))
        let after = try driver.fileSystem.statistics()
        #expect(before.availableBlocks - after.availableBlocks >= 256)
    }
}

extension Stage {
    /// An access control list of version 2 without an entry: the kernel looks at the form before it asks.
    fileprivate var emptyAccessList: [UInt8] { [2, 0, 0, 0] }
}

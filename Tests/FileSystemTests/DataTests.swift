import Cache
import FileSystem
import Platform
import TestKit
import Testing

import struct SystemPackage.Errno

/// Bytes and attributes.
@Suite struct DataTests {
    let world: World
    let driver: FileSystemDriver

    init() async throws {
        world = try World()
        driver = world.driver
    }

    @Test func holesReadAsZeros() async throws {
        let handle = try await driver.create("a")
        try driver.write(handle, "x", at: 3)
        #expect(try await driver.read(handle) == "\0\0\0x")
        #expect(try await driver.read(handle, at: 4) == "")
        #expect(try await driver.read(handle, at: 100) == "")
    }

    @Test func truncationCutsAndExtendsWithZeros() async throws {
        try await driver.writeFile("a", "abcdef")
        try await resize("a", to: 2)
        try await resize("a", to: 4)
        #expect(try await driver.readFile("a") == "ab\0\0")
        await #expect(throws: Errno.invalidArgument) { try await resize("a", to: -1) }
    }

    @Test func openingWithTruncationEmptiesTheFile() async throws {
        try await driver.writeFile("a", "abcdef")
        let handle = try await driver.open("a", [.write, .truncate])
        #expect(try await driver.stat("a").size == 0)
        try driver.write(handle, "x")
        driver.fileSystem.release(handle)
        #expect(try await driver.readFile("a") == "x")
    }

    @Test func onlyHandlesOpenForWritingWrite() async throws {
        try await driver.writeFile("a", "abc")
        let handle = try await driver.open("a", .read)
        #expect(throws: Errno.badFileDescriptor) { try driver.write(handle, "x") }
        driver.fileSystem.release(handle)
        await #expect(throws: Errno.badFileDescriptor) { try await driver.read(handle) }
    }

    @Test func attributesAreKept() async throws {
        let handle = try await driver.create("a", permissions: 0o640)
        var change = AttributeChange()
        change.permissions = 0o600
        change.userID = 5
        change.groupID = 6
        change.modified = .at(Timestamp(seconds: 1000, nanoseconds: 123_456_789))
        let inode = try await driver.stat("a").inode
        _ = try driver.fileSystem.setAttributes(of: inode, change, caller: driver.caller)
        driver.fileSystem.release(handle)
        let attributes = try await driver.stat("a")
        #expect(attributes.permissions == 0o600 && attributes.userID == 5 && attributes.groupID == 6)
        #expect(attributes.modified == Timestamp(seconds: 1000, nanoseconds: 123_456_789))
    }

    @Test func writingMovesTheModificationTimeAndChmodDoesNot() async throws {
        let handle = try await driver.create("a")
        let created = try await driver.stat("a")
        world.time.setWall(Timestamp(seconds: 2_000_000_000))
        try driver.write(handle, "x")
        #expect(try await driver.stat("a").modified == Timestamp(seconds: 2_000_000_000))
        world.time.setWall(Timestamp(seconds: 2_000_000_100))
        var change = AttributeChange()
        change.permissions = 0o600
        _ = try driver.fileSystem.setAttributes(of: created.inode, change, caller: driver.caller)
        let changed = try await driver.stat("a")
        #expect(changed.modified == Timestamp(seconds: 2_000_000_000))
        #expect(changed.changed == Timestamp(seconds: 2_000_000_100))
    }

    @Test func theFirstWriteTakesSetIDBitsAway() async throws {
        try await driver.writeFile("a", "1")
        let inode = try await driver.stat("a").inode
        var change = AttributeChange()
        change.permissions = 0o6755
        _ = try driver.fileSystem.setAttributes(of: inode, change, caller: driver.caller)
        let handle = try await driver.open("a", .write)
        #expect(try await driver.stat("a").permissions == 0o6755)
        try driver.write(handle, "x")
        #expect(try await driver.stat("a").permissions == 0o755)
    }

    @Test func cuttingAFileAndGivingItAwayTakeSetIDBitsAway() async throws {
        try await driver.writeFile("a", "1")
        let inode = try await driver.stat("a").inode
        for change in [AttributeChange(size: 0), AttributeChange(userID: 5)] {
            _ = try driver.fileSystem.setAttributes(
                of: inode, AttributeChange(permissions: 0o6755), caller: driver.caller)
            _ = try driver.fileSystem.setAttributes(of: inode, change, caller: driver.caller)
            #expect(try await driver.stat("a").permissions == 0o755)
        }
    }

    @Test func extendedAttributesOfUsersAreKeptAndOthersRefused() async throws {
        try await driver.writeFile("a", "1")
        let inode = try await driver.stat("a").inode
        let fileSystem = driver.fileSystem
        try fileSystem.setExtendedAttribute("user.k", to: [1, 2], of: inode, mode: .create)
        #expect(try fileSystem.extendedAttribute("user.k", of: inode) == [1, 2])
        #expect(try fileSystem.extendedAttributeNames(of: inode) == ["user.k"])
        #expect(throws: Errno.fileExists) {
            try fileSystem.setExtendedAttribute("user.k", to: [], of: inode, mode: .create)
        }
        #expect(throws: Errno.noData) {
            try fileSystem.setExtendedAttribute("user.none", to: [], of: inode, mode: .replace)
        }
        #expect(throws: Errno.noSpace) {
            try fileSystem.setExtendedAttribute(
                "user.big", to: Array(repeating: 0, count: 4000), of: inode, mode: .createOrReplace)
        }
        #expect(throws: Errno.notSupported) {
            try fileSystem.setExtendedAttribute("system.posix_acl_access", to: [], of: inode, mode: .createOrReplace)
        }
        try fileSystem.removeExtendedAttribute("user.k", of: inode)
        #expect(throws: Errno.noData) { try fileSystem.extendedAttribute("user.k", of: inode) }
        #expect(try fileSystem.extendedAttributeNames(of: inode) == [])
    }

    @Test func theMountsOptionsDecideWhatIsShown() async throws {
        let world = try World {
            $0.userID = 11
            $0.groupID = 12
            $0.umask = 0o077
        }
        try await world.driver.writeFile("a", "1")
        let attributes = try await world.driver.stat("a")
        #expect(attributes.userID == 11 && attributes.groupID == 12 && attributes.permissions == 0o600)
    }

    @Test func statisticsTellTheRealBudget() async throws {
        let before = try driver.fileSystem.statistics()
        #expect(before.availableBlocks * UInt64(before.blockSize) <= UInt64(world.cache.limits.limit))
        let handle = try await driver.create("a")
        try driver.write(handle, String(repeating: "x", count: 1 << 20))
        let after = try driver.fileSystem.statistics()
        #expect(before.availableBlocks - after.availableBlocks >= 256)
    }

    private func resize(_ path: String, to size: Int64) async throws {
        var change = AttributeChange()
        change.size = size
        try await driver.with(path) {
            _ = try driver.fileSystem.setAttributes(of: $0.inode, change, caller: driver.caller)
        }
    }
}

extension AttributeChange {
    fileprivate init(permissions: UInt16? = nil, userID: UInt32? = nil, size: Int64? = nil) {
        self.init()
        self.permissions = permissions
        self.userID = userID
        self.size = size
    }
}

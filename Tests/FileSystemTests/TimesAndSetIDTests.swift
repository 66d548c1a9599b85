import Cache
import FileSystem
import Platform
import TestKit
import Testing

@testable import WorldKit

@Suite struct TimesAndSetIDTests {
    let world: World
    var driver: FileSystemDriver { world.driver }

    init() throws {
        world = try World()
    }

    private func change(_ path: String, _ edit: (inout AttributeChange) -> Void) async throws -> FileAttributes {
        var change = AttributeChange()
        edit(&change)
        return try await driver.with(path) { [change] inode in
            try driver.fileSystem.setAttributes(of: inode.inode, change, caller: driver.caller).0
        }
    }

    @Test func anAccessTimeBeforeTheModificationTimeIsKept() async throws {
        try await driver.writeFile("file", "bytes")
        let seen = try await change("file") {
            $0.accessed = .at(Timestamp(seconds: 1_000_000_000))
            $0.modified = .at(Timestamp(seconds: 4_294_967_296))
        }
        #expect(seen.accessed == Timestamp(seconds: 1_000_000_000))
        #expect(seen.modified == Timestamp(seconds: 4_294_967_296))
    }

    @Test func aWriteTakesSetIDBitsAwayThatCameAfterTheOpen() async throws {
        let handle = try await driver.create("file")
        defer { driver.fileSystem.release(handle) }
        _ = try await change("file") { $0.permissions = 0o6755 }
        try driver.write(handle, "bytes")
        #expect(try await driver.stat("file").permissions == 0o755)
    }

    @Test(arguments: [InodeKind.file, .pipe, .socket, .characterDevice, .blockDevice])
    func givingAwayTakesSetIDBitsFromAllButDirectories(kind: InodeKind) async throws {
        try await driver.makeNode("node", kind)
        _ = try await change("node") { $0.permissions = 0o6555 }
        #expect(try await change("node") { $0.groupID = 1 }.permissions == 0o555)
        try await driver.makeDirectory("directory")
        _ = try await change("directory") { $0.permissions = 0o6555 }
        #expect(try await change("directory") { $0.groupID = 1 }.permissions == 0o6555)
    }
}

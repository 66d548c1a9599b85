import Cache
import FileSystem
import ObjectStore
import Platform
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import WorldKit

/// fallocate, SEEK_DATA and SEEK_HOLE, copy_file_range.
@Suite struct RangeTests {
    let world: World
    let driver: FileSystemDriver

    init() async throws {
        world = try World { $0.looksBringBytes = false }
        driver = world.driver
    }

    private func allocate(
        _ handle: HandleNumber, _ range: Range<Int64>, _ allocation: Allocation
    ) async throws(Errno) {
        try await allocate(handle, at: range.lowerBound, length: range.length, allocation)
    }

    private func allocate(
        _ handle: HandleNumber, at offset: Int64, length: Int64, _ allocation: Allocation
    ) async throws(Errno) {
        try await driver.wait {
            driver.fileSystem.allocate(handle, offset: offset, length: length, allocation, reply: $0)
        }
    }

    private func seek(_ handle: HandleNumber, _ goal: SparseSeek, from offset: Int64) throws(Errno) -> Int64 {
        try driver.fileSystem.seek(handle, goal, from: offset)
    }

    private func copy(
        _ source: HandleNumber, _ range: Range<Int64>, to target: HandleNumber, at offset: Int64
    ) async throws(Errno) -> Int {
        try await driver.wait {
            driver.fileSystem.copy(
                from: source, at: range.lowerBound, to: target, at: offset, count: Int(range.length), reply: $0)
        }
    }

    // MARK: fallocate

    @Test func reservingSpaceExtendsWithZerosUnlessTheSizeIsKept() async throws {
        let handle = try await driver.create("a")
        try driver.write(handle, "abc")
        try await allocate(handle, 0..<6, .reserve(keepsSize: true))
        #expect(try await driver.read(handle) == "abc")
        try await allocate(handle, 1..<6, .reserve(keepsSize: false))
        #expect(try await driver.read(handle) == "abc\0\0\0")
        #expect(try await driver.stat("a").size == 6)
    }

    @Test func zeroedAndPunchedRangesReadAsZeros() async throws {
        let handle = try await driver.create("a")
        try driver.write(handle, "0123456789")
        try await allocate(handle, 1..<3, .zero(keepsSize: false))
        try await allocate(handle, 5..<7, .punchHole)
        #expect(try await driver.read(handle) == "0\0\034\0\0789")
        try await allocate(handle, 8..<20, .zero(keepsSize: true))
        #expect(try await driver.stat("a").size == 10)
        try await allocate(handle, 9..<12, .zero(keepsSize: false))
        #expect(try await driver.read(handle) == "0\0\034\0\07\0\0\0\0")
        driver.fileSystem.release(handle)
        try await world.drain()
        #expect(world.store.text("a") == "0\0\034\0\07\0\0\0\0")
    }

    /// Of a file that is only in the bucket, without a request for its bytes.
    @Test(arguments: [Allocation.punchHole, .zero(keepsSize: true), .zero(keepsSize: false)])
    func zerosInARemoteFileNeverComeBackFromTheObject(_ allocation: Allocation) async throws {
        world.store.set("a", "0123456789")
        let handle = try await driver.open("a", [.read, .write])
        try await allocate(handle, 2..<6, allocation)
        #expect(world.faulty.calls(.get) == 0)
        #expect(try await driver.read(handle) == "01\0\0\0\06789")
        driver.fileSystem.release(handle)
        try await world.drain()
        #expect(world.store.text("a") == "01\0\0\0\06789")
        #expect(try await driver.readFile("a") == "01\0\0\0\06789")
    }

    @Test func reservingSpaceInARemoteFileKeepsItsBytes() async throws {
        world.store.set("a", "0123456789")
        let handle = try await driver.open("a", [.read, .write])
        try await allocate(handle, 5..<12, .reserve(keepsSize: false))
        #expect(try await driver.read(handle) == "0123456789\0\0")
    }

    @Test func allocationsOutOfRangeAreRefusedAndChangeNothing() async throws {
        try await driver.writeFile("a", "abc")
        try await world.drain()
        let handle = try await driver.open("a", [.read, .write])
        let kinds: [Allocation] = [.reserve(keepsSize: false), .zero(keepsSize: false), .punchHole]
        for kind in kinds {
            await #expect(throws: Errno.invalidArgument) { try await allocate(handle, at: -1, length: 1, kind) }
            await #expect(throws: Errno.invalidArgument) { try await allocate(handle, at: 0, length: 0, kind) }
            await #expect(throws: Errno.invalidArgument) { try await allocate(handle, at: 0, length: -1, kind) }
            await #expect(throws: Errno.fileTooLarge) { try await allocate(handle, at: .max, length: 1, kind) }
        }
        let reader = try await driver.open("a", .read)
        await #expect(throws: Errno.badFileDescriptor) { try await allocate(reader, 0..<1, .punchHole) }
        let requests = world.faulty.allCalls
        for open in [handle, reader] { driver.fileSystem.release(open) }
        try await world.drain()
        #expect(world.faulty.allCalls == requests && world.store.text("a") == "abc")
    }

    @Test func spaceThatIsNotThereIsNotReserved() async throws {
        let handle = try await driver.create("a")
        let limit = world.cache.limits.limit
        for length in [limit + 1, Int64.max - 1, Int64.max - 1] {
            await #expect(throws: Errno.noSpace) { try await allocate(handle, 0..<length, .reserve(keepsSize: false)) }
        }
        #expect(try await driver.stat("a").size == 0)
        try driver.write(handle, "x")
        #expect(try await driver.read(handle) == "x")
    }

    @Test func allocatingMovesTheTimesAndTakesSetIDBitsAway() async throws {
        for kind in [Allocation.reserve(keepsSize: true), .zero(keepsSize: true), .punchHole] {
            try await driver.writeFile("a", "1")
            let inode = try await driver.stat("a").inode
            var change = AttributeChange()
            change.permissions = 0o6755
            change.modified = .at(Timestamp(seconds: 1000))
            _ = try driver.fileSystem.setAttributes(of: inode, change, caller: driver.caller)
            world.time.setWall(Timestamp(seconds: 2_000_000_000))
            let handle = try await driver.open("a", .write)
            try await allocate(handle, 0..<1, kind)
            let attributes = try await driver.stat("a")
            #expect(attributes.permissions == 0o755)
            #expect(attributes.modified == Timestamp(seconds: 2_000_000_000))
            #expect(attributes.changed == Timestamp(seconds: 2_000_000_000))
            driver.fileSystem.release(handle)
        }
    }

    // MARK: SEEK_DATA, SEEK_HOLE

    private static let block: Int64 = 64 << 10

    @Test func holesOfALocalFileAreFound() async throws {
        let block = Self.block
        let handle = try await driver.create("a")
        try driver.write(handle, "x", at: 2 * block)
        try driver.write(handle, "x", at: 5 * block)
        #expect(try seek(handle, .hole, from: 0) == 0)
        #expect(try seek(handle, .data, from: 0) == 2 * block)
        let hole = try seek(handle, .hole, from: 2 * block)
        #expect(2 * block < hole && hole <= 3 * block)
        #expect(try seek(handle, .data, from: hole) == 5 * block)
        #expect(try seek(handle, .hole, from: 5 * block) == 5 * block + 1)
    }

    @Test func seekingFromTheEndOnIsENXIO() async throws {
        world.store.set("remote", "0123456789")
        try await driver.writeFile("local", "0123456789")
        for name in ["remote", "local"] {
            let handle = try await driver.open(name, .read)
            for goal in [SparseSeek.data, .hole] {
                for offset in [-1, 10, 11, Int64.max] {
                    #expect(throws: Errno.noSuchAddressOrDevice) { try seek(handle, goal, from: offset) }
                }
            }
            #expect(try seek(handle, .data, from: 9) == 9)
            #expect(try seek(handle, .hole, from: 9) == 10)
        }
    }

    @Test func thereIsNoDataBehindTheLast() async throws {
        let handle = try await driver.create("a")
        try driver.write(handle, "x")
        try await allocate(handle, Self.block..<2 * Self.block, .reserve(keepsSize: false))
        #expect(throws: Errno.noSuchAddressOrDevice) { try seek(handle, .data, from: Self.block) }
        #expect(try seek(handle, .hole, from: Self.block) == Self.block)
    }

    @Test func bytesThatAreNotLocalCountAsData() async throws {
        let block = Self.block
        world.store.set("a", String(repeating: "r", count: Int(6 * block)))
        let handle = try await driver.open("a", [.read, .write])
        #expect(try seek(handle, .data, from: 7) == 7)
        #expect(try seek(handle, .hole, from: 0) == 6 * block)
        try await allocate(handle, 2 * block..<3 * block, .punchHole)
        try driver.write(handle, "x", at: 4 * block)
        #expect(try seek(handle, .hole, from: 0) == 2 * block)
        #expect(try seek(handle, .data, from: 2 * block) == 3 * block)
        #expect(try seek(handle, .hole, from: 3 * block) == 6 * block)
        try await allocate(handle, 5 * block..<6 * block, .punchHole)
        #expect(try seek(handle, .hole, from: 3 * block) == 5 * block)
        #expect(throws: Errno.noSuchAddressOrDevice) { try seek(handle, .data, from: 5 * block) }
        #expect(world.faulty.calls(.get) == 0)
    }

    /// Another program may have stored there through a mapping, which the kernel has not written out yet.
    @Test func aFileThatAnotherHandleMayHaveMappedShowsNoHoles() async throws {
        let writer = try await driver.create("a", [.read, .write])
        try driver.write(writer, "x", at: 2 * Self.block)
        let reader = try await driver.open("a", .read)
        #expect(try seek(reader, .data, from: 5) == 5)
        #expect(try seek(reader, .hole, from: 5) == 2 * Self.block + 1)
        #expect(throws: Errno.noSuchAddressOrDevice) { try seek(reader, .data, from: 2 * Self.block + 1) }
        #expect(try seek(writer, .data, from: 5) == 2 * Self.block)
        driver.fileSystem.release(writer)
        #expect(try seek(reader, .data, from: 5) == 2 * Self.block)
    }

    // MARK: copy_file_range

    @Test func rangesAreCopiedBetweenFilesAndWithinOne() async throws {
        try await driver.writeFile("source", "0123456789")
        let source = try await driver.open("source", [.read, .write])
        let target = try await driver.create("target")
        #expect(try await copy(source, 2..<6, to: target, at: 3) == 4)
        #expect(try await driver.read(target) == "\0\0\02345")
        #expect(try await copy(source, 7..<100, to: source, at: 1) == 3)
        #expect(try await driver.read(source) == "0789456789")
        #expect(try await copy(source, 10..<20, to: target, at: 0) == 0)
        driver.fileSystem.release(source)
        driver.fileSystem.release(target)
        try await world.drain()
        #expect(world.store.text("target") == "\0\0\02345" && world.store.text("source") == "0789456789")
    }

    @Test func aCopyIntoARemoteFileKeepsTheRest() async throws {
        world.store.set("target", "0123456789")
        try await driver.writeFile("source", "abc")
        let source = try await driver.open("source", .read)
        let target = try await driver.open("target", [.read, .write])
        #expect(try await copy(source, 0..<3, to: target, at: 4) == 3)
        #expect(try await driver.read(target) == "0123abc789")
    }

    @Test func aCopyOfBytesThatAreNotLocalIsLeftToTheKernel() async throws {
        world.store.set("source", "0123456789")
        let source = try await driver.open("source", .read)
        let target = try await driver.create("target")
        await #expect(throws: Errno.notSupported) { try await copy(source, 0..<10, to: target, at: 0) }
        #expect(try await driver.stat("target").size == 0)
        _ = try await driver.read(source)
        #expect(try await copy(source, 0..<10, to: target, at: 0) == 10)
        #expect(try await driver.read(target) == "0123456789")
    }

    @Test func copiesThatMakeNoSenseAreRefused() async throws {
        try await driver.writeFile("a", "0123456789")
        let both = try await driver.open("a", [.read, .write])
        let reader = try await driver.open("a", .read)
        let writer = try await driver.open("a", .write)
        let appender = try await driver.open("a", [.read, .write, .append])
        await #expect(throws: Errno.invalidArgument) { try await copy(both, 0..<4, to: both, at: 3) }
        await #expect(throws: Errno.invalidArgument) { try await copy(reader, 3..<8, to: writer, at: 0) }
        await #expect(throws: Errno.invalidArgument) { try await copy(both, -1..<2, to: both, at: 5) }
        await #expect(throws: Errno.fileTooLarge) { try await copy(reader, 0..<4, to: writer, at: .max - 1) }
        await #expect(throws: Errno.badFileDescriptor) { try await copy(both, 0..<1, to: reader, at: 5) }
        await #expect(throws: Errno.badFileDescriptor) { try await copy(writer, 0..<1, to: both, at: 5) }
        await #expect(throws: Errno.badFileDescriptor) { try await copy(both, 0..<1, to: appender, at: 5) }
        #expect(try await copy(both, 0..<4, to: both, at: 4) == 4)
        #expect(try await driver.read(both) == "0123012389")
    }

    @Test func aCopyTakesSetIDBitsAwayAndMovesTheModificationTime() async throws {
        try await driver.writeFile("source", "abc")
        try await driver.writeFile("target", "1")
        let inode = try await driver.stat("target").inode
        var change = AttributeChange()
        change.permissions = 0o6755
        _ = try driver.fileSystem.setAttributes(of: inode, change, caller: driver.caller)
        world.time.setWall(Timestamp(seconds: 2_000_000_000))
        let (source, target) = (try await driver.open("source", .read), try await driver.open("target", .write))
        #expect(try await copy(source, 0..<3, to: target, at: 0) == 3)
        let attributes = try await driver.stat("target")
        #expect(attributes.permissions == 0o755 && attributes.modified == Timestamp(seconds: 2_000_000_000))
    }
}

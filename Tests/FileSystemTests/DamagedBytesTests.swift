import FileSystem
import ObjectStore
import Platform
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import Cache
@testable import WorldKit

/// Bytes that the disk damaged never reach a program.
@Suite struct DamagedBytesTests {
    private let block = BlockChecksums.blockSize
    private let text = String((0..<100_000).map { "\($0)," }.joined().prefix(400_000))

    @Test func aFlippedBitIsFetchedAgainAfterARestart() async throws {
        let state = try WorldState()
        let first = try World(state: state)
        first.store.set("a", text)
        #expect(try await first.driver.readFile("a") == text)
        let number = try await first.driver.stat("a").inode
        try await first.stop()
        try flip(number, at: 300_000, on: state)

        let world = try World(store: first.store, state: state)
        #expect(try await world.driver.readFile("a") == text)
        #expect(world.faulty.gets.map(\.range) == [block..<400_000])
        #expect(try world.journal.read { try $0.events(.error) }.map(\.path) == ["a"])
        try await world.stop()
    }

    @Test func aFlippedBitIsFoundWhenTheFileIsOpenedAgain() async throws {
        let state = try WorldState()
        let world = try World(state: state)
        world.store.set("a", text)
        #expect(try await world.driver.readFile("a") == text)
        try world.flush()
        let gets = world.faulty.calls(.get)
        try flip(try await world.driver.stat("a").inode, at: 5, on: state)
        #expect(try await world.driver.readFile("a") == text)
        #expect(world.faulty.calls(.get) == gets + 1)
        try await world.stop()
    }

    @Test func aFlippedBitOfWhatWasSentIsFetchedAgain() async throws {
        let state = try WorldState()
        let world = try World(state: state)
        try await world.driver.writeFile("a", text)
        try await world.drain()
        try flip(try await world.driver.stat("a").inode, at: 5, on: state)
        #expect(try await world.driver.readFile("a") == text)
        #expect(world.faulty.calls(.get) == 1)
        try await world.stop()
    }

    @Test func whatTheStoreFoundWrongAtTheEndOfAnObjectIsNotKept() async throws {
        let world = try World { $0.looksBringBytes = false }
        world.store.set("a", text)
        let wrong = StoreError(.corrupted, message: "the checksum is another (by a test)")
        world.faulty.script(.get, .breakOff(after: Int64(text.count), wrong))
        // Readers may have been given it before.
        _ = try? await world.driver.readFile("a")
        let gets = world.faulty.gets.count
        #expect(try await world.driver.readFile("a") == text)
        #expect(world.faulty.gets.dropFirst(gets).map(\.range) == [nil])
        try await world.stop()
    }

    @Test func withoutANetworkADamagedBlockIsAnErrorAndTheOthersAreRead() async throws {
        let state = try WorldState()
        let world = try World(state: state)
        world.store.set("a", text)
        #expect(try await world.driver.readFile("a") == text)
        try world.flush()
        try flip(try await world.driver.stat("a").inode, at: 300_000, on: state)
        world.faulty.isOffline = true
        let handle = try await world.driver.open("a", .read)
        await #expect(throws: Errno.ioError) { try await world.driver.read(handle, at: 300_000) }
        #expect(try await world.driver.read(handle, at: 0, count: 1000) == String(text.prefix(1000)))
        world.driver.fileSystem.release(handle)
        try await world.stop()
    }

    @Test func aCopyOfADamagedFileHasTheBytesOfTheObject() async throws {
        let state = try WorldState()
        let world = try World(state: state)
        world.store.set("a", text)
        #expect(try await world.driver.readFile("a") == text)
        try world.flush()
        try flip(try await world.driver.stat("a").inode, at: 5, on: state)
        let (source, target) = (try await world.driver.open("a", .read), try await world.driver.create("b"))
        await #expect(throws: Errno.notSupported) {
            try await world.driver.wait {
                world.fileSystem.copy(from: source, at: 0, to: target, at: 0, count: 400_000, reply: $0)
            }
        }
        try await world.stop()
    }

    @Test func unsentBytesThatCannotBeReadAreToldOfAndNeverPublished() async throws {
        let state = try WorldState { UnreadableDisk($0) }
        let disk = try #require(state.disk as? UnreadableDisk)
        let world = try World(state: state)
        world.faulty.isOffline = true
        try await world.driver.writeFile("a", text)
        let number = try await world.driver.stat("a").inode
        disk.damage(8192..<12288, of: FileCache.dataName(number))
        world.faulty.isOffline = false
        #expect(
            await world.comesTrue {
                (try? world.journal.read { try $0.events(.error) })?.map(\.path) == ["a"]
            })
        #expect(world.store.keys.isEmpty)
        #expect(try world.journal.inode(number)?.pending.contains(.content) == true)
        try await world.stop()
    }

    private func flip(_ number: InodeNumber, at offset: Int64, on state: WorldState) throws {
        let file = try state.disk.open(FileCache.dataName(number), .existing)
        var byte: UInt8 = 0
        try withUnsafeMutableBytes(of: &byte) { buffer throws in _ = try file.read(into: buffer, at: offset) }
        try file.write([byte ^ 0x10], at: offset)
    }
}

import Cache
import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import FileSystem
@testable import WorldKit

/// How long a change without room waits.
@Suite struct SpaceWaitTests {
    private let wait = SpaceWait(limit: .seconds(10))

    @Test func whoJustCameWaitsHoweverLongNothingGotOnBefore() {
        #expect(wait.decide(since: .seconds(100), progress: .zero, now: .seconds(100)) == .wait(.seconds(10)))
        #expect(wait.decide(since: .seconds(100), progress: .zero, now: .seconds(104)) == .wait(.seconds(6)))
    }

    @Test func theTimeRunsAnewWithEachProgress() {
        #expect(wait.decide(since: .zero, progress: .seconds(1000), now: .seconds(1009)) == .wait(.seconds(1)))
        #expect(wait.decide(since: .zero, progress: .seconds(1000), now: .seconds(1010)) == .fail)
    }

    @Test func withoutATimeToWaitThereIsNoWait() {
        #expect(SpaceWait(limit: .zero).decide(since: .zero, progress: .zero, now: .zero) == .fail)
    }
}

/// Writing and reading where the data files may take no more.
@Suite struct FullDiskTests {
    static let mebibyte = 1 << 20
    private static let limit = CacheLimits(limit: 8 << 20, reserve: 0)

    private func world(fullWait: Duration = .seconds(60)) throws -> World {
        try World(limits: Self.limit) { options in
            options.fullWait = fullWait
            options.looksBringBytes = false
        }
    }

    private func bytes(_ count: Int, _ seed: UInt64) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        return random.bytes(count)
    }

    /// Writes files of a mebibyte until one finds no room; their contents by name.
    private func fill(_ world: World) async throws -> [String: [UInt8]] {
        var written: [String: [UInt8]] = [:]
        for index in 0..<16 {
            let handle = try await world.driver.create("full-\(index)")
            defer { world.fileSystem.release(handle) }
            let content = bytes(Self.mebibyte, UInt64(index))
            guard try world.driver.writeNow(handle, content, at: 0) != nil else { return written }
            written["full-\(index)"] = content
        }
        Issue.record("the disk is not full")
        return written
    }

    private func checkBucket(_ world: World, _ written: [String: [UInt8]]) {
        for (name, content) in written { #expect(world.store.bytes(ObjectKey(name)) == content) }
    }

    /// A write that is under way on a task.
    private func startWrite(_ world: World, _ handle: HandleNumber, _ content: [UInt8], at offset: Int64 = 0)
        async throws
        -> Task<Result<Int, Errno>, Never>
    {
        let before = try world.fileSystem.waiting?.writers ?? 0
        let task = Task {
            await withCheckedContinuation { done in
                _ = world.fileSystem.writeWhenRoom(handle, offset: offset, content) { done.resume(returning: $0) }
            }
        }
        #expect(await eventually { (try? world.fileSystem.waiting?.writers) == before + 1 })
        return task
    }

    @Test func aWriterWaitsUntilWhatOthersWroteIsInTheBucketAndAllArrives() async throws {
        let world = try world()
        world.writeback.pause()
        var written = try await fill(world)
        let handle = try await world.driver.create("late")
        let content = bytes(2 * Self.mebibyte, 99)
        let write = try await startWrite(world, handle, content)
        let waiting = try #require(try world.fileSystem.waiting)
        #expect(waiting.writers == 1 && waiting.reason == .limit)
        world.writeback.resume()
        #expect(await world.comesTrue { (try? world.fileSystem.waiting) == .some(nil) })
        #expect(await write.value == .success(content.count))
        world.fileSystem.release(handle)
        try await world.drain()
        written["late"] = content
        checkBucket(world, written)
        try await world.stop()
    }

    @Test func withoutProgressThereIsENOSPCAfterTheTimeAndWhatWasAcknowledgedStays() async throws {
        let world = try world(fullWait: .seconds(60))
        world.writeback.pause()
        let written = try await fill(world)
        let handle = try await world.driver.create("late")
        let write = try await startWrite(world, handle, bytes(2 * Self.mebibyte, 99))
        let start = world.time.monotonic
        #expect(await world.comesTrue { (try? world.fileSystem.waiting) == .some(nil) })
        #expect(await write.value == .failure(.noSpace))
        #expect(world.time.monotonic - start >= .seconds(60))
        let events = try world.journal.read { try $0.events(.error) }
        #expect(events.map(\.path) == ["late"])
        #expect(events.first?.message.contains("ENOSPC") == true)
        world.fileSystem.release(handle)
        world.writeback.resume()
        try await world.drain()
        checkBucket(world, written)
        #expect(world.store.bytes(ObjectKey("late")) == [])
        try await world.stop()
    }

    @Test func configuredSoAWriteFailsAtOnceAndPeopleAreToldOnce() async throws {
        let world = try world(fullWait: .zero)
        world.writeback.pause()
        let handle = try await world.driver.create("a")
        for _ in 0..<3 {
            #expect(throws: Errno.noSpace) {
                while try world.driver.writeNow(handle, bytes(Self.mebibyte, 1), at: world.cache.usage().dirty) != nil {
                }
            }
        }
        #expect(try world.journal.read { try $0.events(.error) }.count == 1)
        world.fileSystem.release(handle)
        try await world.stop()
    }

    @Test func anInterruptedWriterGetsEINTRAndHasWrittenNothing() async throws {
        let world = try world()
        world.writeback.pause()
        _ = try await fill(world)
        let handle = try await world.driver.create("late")
        let answer = Mutex<Result<Int, Errno>?>(nil)
        let pending = world.fileSystem.writeWhenRoom(handle, offset: 0, bytes(2 * Self.mebibyte, 99)) { result in
            answer.withLock { $0 = result }
        }
        #expect(answer.withLock { $0 } == nil)
        pending?.interrupt()
        pending?.interrupt()
        #expect(answer.withLock { $0 } == .failure(.interrupted))
        #expect(try world.fileSystem.waiting == nil)
        world.writeback.resume()
        try await world.drain()
        #expect(try await world.driver.stat("late").size == 0)
        world.fileSystem.release(handle)
        try await world.stop()
    }

    @Test func writesOfAFileAreMadeInTheOrderInWhichTheyCame() async throws {
        let world = try world()
        world.writeback.pause()
        _ = try await fill(world)
        let handle = try await world.driver.create("late")
        let large = bytes(2 * Self.mebibyte, 1)
        let first = try await startWrite(world, handle, large)
        // It would find room, but it must not overtake.
        let second = try await startWrite(world, handle, [7])
        #expect(try world.driver.writeNow(handle, [8], at: 0) == nil)
        world.writeback.resume()
        #expect(await world.comesTrue { (try? world.fileSystem.waiting) == .some(nil) })
        #expect(await first.value == .success(large.count))
        #expect(await second.value == .success(1))
        world.fileSystem.release(handle)
        try await world.drain()
        #expect(world.store.bytes(ObjectKey("late")) == [7] + large.dropFirst())
        try await world.stop()
    }

    @Test func reservingSpaceWaitsAsWellAndHolesTakeNone() async throws {
        let world = try world(fullWait: .seconds(60))
        world.writeback.pause()
        _ = try await fill(world)
        let handle = try await world.driver.create("late")
        var change = AttributeChange()
        change.size = 1 << 40
        let inode = try await world.driver.stat("late").inode
        _ = try world.fileSystem.setAttributes(of: inode, change, caller: world.driver.caller)
        #expect(try await world.driver.stat("late").size == 1 << 40)
        let length = Int64(2 * Self.mebibyte)
        let answer = Mutex<Result<Void, Errno>?>(nil)
        _ = world.fileSystem.allocate(handle, offset: 0, length: length, .reserve(keepsSize: true)) { result in
            answer.withLock { $0 = result }
        }
        #expect(try world.fileSystem.waiting?.writers == 1)
        // What can never fit does not wait.
        await #expect(throws: Errno.noSpace) {
            try await world.driver.wait {
                world.fileSystem.allocate(
                    handle, offset: 0, length: Self.limit.limit + 1, .reserve(keepsSize: true), reply: $0)
            }
        }
        change.size = 0
        _ = try world.fileSystem.setAttributes(of: inode, change, caller: world.driver.caller)
        world.writeback.resume()
        #expect(await world.comesTrue { answer.withLock { $0 } != nil })
        #expect(answer.withLock { if case .success? = $0 { true } else { false } })
        world.fileSystem.release(handle)
        try await world.stop()
    }

    @Test func whatFindsNoRoomIsReadFromTheBucketWithoutBeingKept() async throws {
        let world = try world()
        let content = bytes(5 * Self.mebibyte + 123, 3)
        world.store.set(ObjectKey("remote"), content)
        world.writeback.pause()
        let handle = try await world.driver.open("remote", [.read, .write])
        _ = try await world.driver.write(handle, Array("changed here".utf8), at: 1_500_000)
        _ = try await fill(world)
        var expected = content
        expected.replaceSubrange(1_500_000..<1_500_012, with: Array("changed here".utf8))
        var found: [UInt8] = []
        while found.count < content.count {
            let piece = try await world.driver.readBytes(handle, at: Int64(found.count), count: 300_000)
            try #require(!piece.isEmpty)
            found += piece
        }
        #expect(found == expected)
        #expect(
            try await world.driver.readBytes(handle, at: 5_000_000, count: 10) == Array(expected[5_000_000..<5_000_010])
        )
        #expect(try world.cache.usage().used <= Self.limit.limit + 1 << 20)
        // Not a request for each read.
        #expect(world.faulty.calls(.get) < 20)
        world.fileSystem.release(handle)
        world.writeback.resume()
        try await world.drain()
        #expect(world.store.bytes(ObjectKey("remote")) == expected)
        try await world.stop()
    }

    @Test func withoutANetworkWhatFindsNoRoomIsAnErrorAndNoWait() async throws {
        let world = try world()
        world.store.set(ObjectKey("remote"), bytes(3 * Self.mebibyte, 3))
        let handle = try await world.driver.open("remote", .read)
        world.writeback.pause()
        _ = try await fill(world)
        world.faulty.isOffline = true
        await #expect(throws: Errno.ioError) {
            for _ in 0..<5 { _ = try await world.driver.readBytes(handle, at: 0, count: 100) }
        }
        world.fileSystem.release(handle)
        try await world.stop()
    }
}

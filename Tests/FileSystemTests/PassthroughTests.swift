import Cache
import FileSystem
import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing
import Transfer

import struct SystemPackage.Errno
import struct SystemPackage.FileDescriptor

@testable import WorldKit

/// Which files go past this process, without a kernel: what programs then do to the data file, the tests do themselves.
@Suite struct PassthroughTests {
    /// A kernel that counts what it is told.
    private final class Kernel: KernelPassthrough, Sendable {
        struct State {
            var isAvailable = true
            var refuses = false
            var last: Int32 = 0
            var registered: [BackingNumber: Int32] = [:]
        }

        let state = Mutex(State())
        var isAvailable: Bool { state.withLock { $0.isAvailable } }

        func register(_ descriptor: Int32) -> BackingNumber? {
            state.withLock { state in
                guard !state.refuses else { return nil }
                state.last += 1
                state.registered[BackingNumber(rawValue: state.last)] = descriptor
                return BackingNumber(rawValue: state.last)
            }
        }

        func unregister(_ backing: BackingNumber) {
            state.withLock { state in
                precondition(state.registered.removeValue(forKey: backing) != nil, "registered once, unregistered once")
            }
        }

        var count: Int { state.withLock { $0.registered.count } }

        func descriptor(_ backing: BackingNumber?) throws -> Int32 {
            let backing = try #require(backing)
            return try #require(state.withLock { $0.registered[backing] })
        }
    }

    /// Counts of how many inodes it was to drop the pages.
    private final class Pages: KernelCache, Sendable {
        private let dropped = Mutex(0)
        var count: Int { dropped.withLock { $0 } }

        func invalidate(_ inode: InodeNumber) { dropped.withLock { $0 += 1 } }
        func invalidate(_ name: FileName, in directory: InodeNumber) {}
    }

    private let world: World
    private let kernel = Kernel()
    private let pages = Pages()
    private var driver: FileSystemDriver { world.driver }

    init() throws {
        world = try World(
            store: MemoryStore(multipartLimits: .small), time: ManualTime(wall: SystemTime().wall),
            writeback: .smallParts, limits: Stage.passthrough.limits)
        world.fileSystem.attach(pages, passthrough: kernel)
    }

    private func create(_ name: String, _ mode: OpenMode = .write) throws -> OpenedFile {
        let name = try #require(FileName(name))
        let (entry, opened) = try world.fileSystem.create(
            name, in: .root, permissions: 0o644, mode: mode, caller: driver.caller)
        world.fileSystem.forget(entry.attributes.inode, count: 1)
        return opened
    }

    private func open(_ path: String, _ mode: OpenMode) async throws -> OpenedFile {
        try await driver.with(path) { inode in
            try await driver.wait { world.fileSystem.open(inode.inode, mode: mode, reply: $0) }
        }
    }

    /// As the kernel does for a program.
    private func write(_ text: String, at offset: Int64, past opened: OpenedFile) throws {
        let bytes = Array(text.utf8)
        _ = try writeBytes(bytes[...], to: try kernel.descriptor(opened.backing), at: offset)
    }

    private func close(_ opened: OpenedFile...) {
        for file in opened { world.fileSystem.release(file.handle) }
    }

    @Test func aNewFileThatIsWrittenGoesPastAndIsSentAfterItsClose() async throws {
        let file = try create("a")
        try write("text", at: 0, past: file)
        #expect(try await driver.stat("a").size == 4)
        #expect(world.store.text("a") == nil)
        close(file)
        #expect(kernel.count == 0)
        #expect(await world.comesTrue { world.store.text("a") == "text" })
        #expect(await world.comesTrue { (try? world.pending()) == [] })
        try await world.stop()
    }

    @Test func anInodeHasOneWayAsLongAsItIsOpen() async throws {
        let first = try create("a")
        let (reader, both) = (try await open("a", .read), try await open("a", [.read, .write]))
        #expect(first.backing != nil && reader.backing == first.backing && both.backing == first.backing)
        close(first, both, reader)
        let request = try await open("a", [.write, .direct])
        #expect(request.backing == nil)
        let (second, third) = (try await open("a", .read), try await open("a", .write))
        #expect(second.backing == nil && third.backing == nil)
        close(request, second, third)
        let again = try await open("a", .read)
        #expect(again.backing != nil && kernel.count == 1)
        close(again)
        try await world.stop()
    }

    @Test(arguments: [
        OpenMode.write.union(.synchronous), [.read, .write, .synchronous], [.write, .direct], [.read, .direct],
    ])
    func whatTheKernelCannotPromiseAloneGoesAsRequests(_ mode: OpenMode) async throws {
        let file = try create("a", mode)
        #expect(file.backing == nil && kernel.count == 0)
        close(file)
        try await world.stop()
    }

    @Test func filesOfTheBucketGoPastOnceTheyWereReadAndCompared() async throws {
        world.store.set("a", "text")
        let first = try await open("a", .read)
        #expect(first.backing == nil)
        #expect(try await driver.read(first.handle) == "text")
        close(first)
        let second = try await open("a", .read)
        #expect(second.backing != nil)
        close(second)
        try world.cache.flush()
        let third = try await open("a", .read)
        #expect(third.backing != nil)
        close(third)
        try await world.stop()
    }

    @Test func pagesOfALargeFileAreDroppedWhenWhoOpensItNextGoesPast() async throws {
        world.store.set("a", String(repeating: "text", count: 1 << 20))
        close(try await open("a", .read))
        #expect(pages.count == 0)
        let (first, second) = (try await open("a", .read), try await open("a", .read))
        #expect(try await driver.read(first.handle, count: 4 << 20).utf8.count == 4 << 20)
        close(first)
        #expect(pages.count == 0)
        close(second)
        #expect(pages.count == 1)
        let past = try await open("a", .read)
        #expect(past.backing != nil)
        close(past)
        #expect(pages.count == 1)
        try await world.stop()
    }

    @Test func aWriterBesideAReaderOfWhatWasFetchedJustNowGoesPastAsWell() async throws {
        world.store.set("a", "text")
        #expect(try await driver.readFile("a") == "text")
        let (reader, writer) = (try await open("a", .read), try await open("a", .write))
        #expect(writer.backing != nil && writer.backing == reader.backing)
        try write("T", at: 0, past: writer)
        close(writer, reader)
        #expect(await world.comesTrue { world.store.text("a") == "Text" })
        try await world.stop()
    }

    @Test func whatIsAsInTheBucketIsNotHandedToWhoWritesFirst() async throws {
        world.store.set("a", "text")
        #expect(try await driver.readFile("a") == "text")
        try world.cache.flush()
        let writer = try await open("a", .write)
        #expect(writer.backing == nil)
        close(writer)
        let emptied = try await open("a", [.write, .truncate])
        #expect(emptied.backing != nil)
        close(emptied)
        try await world.stop()
    }

    @Test func aWriterBesideAReaderOfWhatIsInTheBucketSendsNothingIfItWritesNothing() async throws {
        world.store.set("a", "text")
        #expect(try await driver.readFile("a") == "text")
        try world.cache.flush()
        world.time.advance(by: .seconds(10))
        let (reader, writer) = (try await open("a", .read), try await open("a", .write))
        #expect(writer.backing != nil && writer.backing == reader.backing)
        #expect(try !world.pending().isEmpty)
        close(writer)
        #expect(try world.pending().isEmpty)
        let second = try await open("a", .write)
        try write("T", at: 0, past: second)
        close(second)
        // The reader has it open all the time.
        #expect(await world.comesTrue { world.store.text("a") == "Text" })
        close(reader)
        try await world.stop()
    }

    /// As recorders do, which write their headers at the close.
    @Test func aNewFileThatIsReadAndWrittenGoesPastAndIsSentAfterItsClose() async throws {
        let file = try create("a", [.read, .write])
        try write("text", at: 0, past: file)
        close(file)
        #expect(kernel.count == 0)
        #expect(await world.comesTrue { (try? world.pending()) == [] })
        #expect(world.store.text("a") == "text")
        try await world.stop()
    }

    /// Who opens a database so often only reads it.
    @Test func whatIsOpenedToReadAndWriteAgainGoesAsRequestsAndStaysWhatItWas() async throws {
        let writer = try create("a")
        try write("text", at: 0, past: writer)
        close(writer)
        let version = try #require(await driver.with("a") { world.cache.openFile($0.inode)?.version })
        let both = try await open("a", [.read, .write])
        #expect(both.backing == nil)
        close(both)
        #expect(try await driver.with("a") { world.cache.openFile($0.inode)?.version } == version)
        try await world.stop()
    }

    @Test func whatIsMappedIsSentWhenTheMappingIsGoneWhoeverNoticesThat() async throws {
        let both = try create("a", [.read, .write])
        let mapping = try FileDescriptor.open("/proc/self/fd/\(kernel.descriptor(both.backing))", .readWrite)
        close(both)
        try mapping.writeAll(toAbsoluteOffset: 0, "text".utf8)
        try await world.drain()
        #expect(world.store.text("a") == "text")
        try mapping.writeAll(toAbsoluteOffset: 0, "Text".utf8)
        try mapping.close()
        let reader = try await open("a", .read)
        close(reader)
        #expect(await world.comesTrue { world.store.text("a") == "Text" })
        try await world.stop()
    }

    @Test func whereTheKernelRefusesFilesGoAsRequests() async throws {
        kernel.state.withLock { $0.refuses = true }
        let file = try create("a")
        #expect(file.backing == nil)
        try driver.write(file.handle, "text")
        kernel.state.withLock { $0.refuses = false }
        let second = try await open("a", .write)
        #expect(second.backing == nil)
        close(file, second)
        kernel.state.withLock { $0.isAvailable = false }
        #expect(try await open("a", .read).backing == nil)
        try await world.stop()
    }

    @Test func syncSendsAMomentOfAFileThatIsWrittenPastThisProcess() async throws {
        let file = try create("a")
        try write("text", at: 0, past: file)
        try await world.drain()
        #expect(world.store.text("a") == "text")
        try write("more", at: 4, past: file)
        close(file)
        try await world.drain()
        #expect(world.store.text("a") == "textmore")
        try await world.stop()
    }

    @Test func syncOfALinkedFileThatIsWrittenPastThisProcessEnds() async throws {
        let file = try create("a")
        try write("text", at: 0, past: file)
        let linked = try await driver.with("a") { inode in
            try world.fileSystem.makeHardLink(#require(FileName("b")), in: .root, to: inode.inode)
        }
        world.fileSystem.forget(linked.attributes.inode, count: 1)
        try await world.drain()
        #expect(world.store.text("a") == "text" && world.store.text("b") == "text")
        close(file)
        try await world.stop()
    }

    /// The upload that began while the file grew has the attributes of then, and no version of the file is its end.
    @Test func syncOfAFileThatIsOpenSendsAttributesThatChangedWhileItGrew() async throws {
        let file = try create("a")
        try write(String(repeating: "text", count: 10), at: 0, past: file)
        #expect(
            await world.comesTrue {
                try? world.flush()
                return world.store.openUploads == 1
            })
        try await driver.setPermissions("a", 0o600)
        try await world.drain()
        let sent = try await world.store.head(ObjectKey("a"))
        #expect(PosixMetadata(decoding: sent.metadata).permissions.map { $0 & 0o7777 } == 0o600)
        close(file)
        try await world.stop()
    }

    @Test func aWriteTakesSetIDBitsAwayThatAFileGotWhileItWasOpen() async throws {
        let file = try create("a")
        try write("text", at: 0, past: file)
        try await driver.setPermissions("a", 0o6755)
        #expect(try await driver.stat("a").permissions == 0o6755)
        try write("more", at: 4, past: file)
        #expect(try await driver.stat("a").permissions == 0o755)
        try await driver.setPermissions("a", 0o6755)
        try write("more", at: 8, past: file)
        close(file)
        #expect(try await driver.stat("a").permissions == 0o755)
        // A new writer of such a file is watched.
        try await driver.setPermissions("a", 0o6755)
        let writer = try await open("a", .write)
        #expect(writer.backing == nil)
        close(writer)
        #expect(try await driver.stat("a").permissions == 0o6755)
        try await world.stop()
    }

    @Test func pagesThatTheKernelMayHaveFromBeforeAreDroppedByTheNextOpenAsRequests() async throws {
        try await driver.with("") { _ in }
        let file = try create("a")
        try await driver.with("a") { _ in
            close(file)
            let mode = OpenMode.write.union(.synchronous)
            let requests = [try await open("a", mode), try await open("a", mode)]
            #expect(requests.map(\.keepsKernelCache) == [false, true])
            for request in requests { close(request) }
        }
        try await world.stop()
    }
}

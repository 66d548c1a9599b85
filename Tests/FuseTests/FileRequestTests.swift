import CLinux
import Fuse
import Glibc
import SystemPackage
import Testing

/// Files and their bytes through a real mount.
@Suite(.serialized) struct FileRequestTests {
    @Test func whatIsWrittenIsReadBack() throws {
        try withMount { mount in
            for size in [0, 1, 100, 4095, 4096, 4097, 131_072, 1 << 20, 5 << 20 + 13] {
                let bytes = pattern(size, seed: UInt64(size) + 1)
                try writeFile(mount("file"), bytes)
                #expect(try readFile(mount("file")) == bytes)
                #expect(try status(mount("file")).st_size == size)
            }
        }
    }

    @Test func aHandleForReadingAndWritingSeesItsOwnWrites() throws {
        try withMount { mount in
            let descriptor = try check(open(mount("file"), O_RDWR | O_CREAT, 0o600))
            defer { close(descriptor) }
            let bytes = pattern(3 << 20, seed: 7)
            #expect(pwrite(descriptor, bytes, bytes.count, 11) == bytes.count)
            #expect(try readAll(descriptor) == [UInt8](repeating: 0, count: 11) + bytes)
        }
    }

    /// The page cache of readers must not keep what a handle that only writes replaced.
    @Test func aReaderSeesWhatAWriterOfAnotherHandleReplaces() throws {
        try withMount { mount in
            try writeFile(mount("file"), pattern(64 << 10, seed: 1))
            let reader = try check(open(mount("file"), O_RDONLY))
            defer { close(reader) }
            _ = try readAll(reader)
            let bytes = pattern(64 << 10, seed: 2)
            try writeFile(mount("file"), bytes, flags: O_WRONLY)
            lseek(reader, 0, SEEK_SET)
            #expect(try readAll(reader) == bytes)
        }
    }

    @Test func aMappingOfAFileShowsAndChangesIt() throws {
        try withMount { mount in
            let bytes = pattern(100_000, seed: 3)
            try writeFile(mount("file"), bytes)
            let descriptor = try check(open(mount("file"), O_RDWR))
            let memory = try #require(mmap(nil, bytes.count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0))
            #expect(UnsafeRawBufferPointer(start: memory, count: bytes.count).elementsEqual(bytes))
            memory.storeBytes(of: bytes[5000] ^ 255, toByteOffset: 5000, as: UInt8.self)
            #expect(msync(memory, bytes.count, MS_SYNC) == 0)
            munmap(memory, bytes.count)
            close(descriptor)
            #expect(try readFile(mount("file"))[5000] == bytes[5000] ^ 255)
        }
    }

    @Test(arguments: [1, 4096, 300_000, 1 << 20])
    func aWriteThatFindsNoRoomWaitsWithItsBytes(count: Int) throws {
        try withMount { mount in
            let bytes = pattern(count, seed: 4)
            let descriptor = try check(open(mount("file"), O_WRONLY | O_CREAT, 0o600))
            defer { close(descriptor) }
            mount.fileSystem.state.withLock { $0.isFull = true }
            mount.fileSystem.hold("write")
            let shared = SharedResult()
            let thread = startThread { shared.set(Int32(truncatingIfNeeded: write(descriptor, bytes, bytes.count))) }
            #expect(eventually { mount.fileSystem.waitingCount == 1 })
            // Others are served meanwhile, and attributes of the file as well.
            #expect(try status(mount("file")).st_size == 0)
            try check(mkdir(mount("directory"), 0o700))
            #expect(shared.value == nil)
            mount.fileSystem.letGo()
            pthread_join(thread, nil)
            #expect(shared.value == Int32(count))
            #expect(try readFile(mount("file")) == bytes)
        }
    }

    @Test func aSignalInterruptsAWriterThatWaitsForRoom() throws {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in }
        sigaction(SIGUSR1, &action, nil)
        try withMount { mount in
            let descriptor = try check(open(mount("file"), O_WRONLY | O_CREAT, 0o600))
            defer { close(descriptor) }
            mount.fileSystem.state.withLock { $0.isFull = true }
            mount.fileSystem.hold("write")
            let shared = SharedResult()
            let thread = startThread { shared.set(write(descriptor, [1, 2, 3], 3) == 3 ? 0 : errno) }
            #expect(eventually { mount.fileSystem.waitingCount == 1 })
            usleep(50_000)
            pthread_kill(thread, SIGUSR1)
            pthread_join(thread, nil)
            #expect(shared.value == EINTR)
            #expect(try status(mount("file")).st_size == 0)
        }
    }

    @Test func appendsGoToTheEnd() throws {
        try withMount { mount in
            try writeFile(mount("log"), Array("one\n".utf8))
            let first = try check(open(mount("log"), O_WRONLY | O_APPEND))
            let second = try check(open(mount("log"), O_WRONLY | O_APPEND))
            for index in 0..<100 { #expect(write(index % 2 == 0 ? first : second, "line\n", 5) == 5) }
            close(first)
            close(second)
            #expect(try status(mount("log")).st_size == 504)
        }
    }

    @Test func truncateChangesTheSize() throws {
        try withMount { mount in
            try writeFile(mount("file"), pattern(10_000, seed: 4))
            try check(truncate(mount("file"), 100))
            #expect(try readFile(mount("file")) == Array(pattern(10_000, seed: 4).prefix(100)))
            try check(truncate(mount("file"), 200))
            #expect(try readFile(mount("file")).suffix(100).allSatisfy { $0 == 0 })
        }
    }

    @Test func openForTruncationReachesTheFileSystemAsOneRequest() throws {
        try withMount { mount in
            try writeFile(mount("file"), [1, 2, 3])
            mount.fileSystem.state.withLock { $0.calls = [] }
            close(try check(open(mount("file"), O_WRONLY | O_TRUNC)))
            let expected = OpenModes.write | OpenModes.truncate
            #expect(mount.fileSystem.calls.contains("open \(expected)"))
            #expect(try status(mount("file")).st_size == 0)
        }
    }

    private enum OpenModes {
        static let write: UInt8 = 2
        static let truncate: UInt8 = 4
    }

    @Test func fsyncAndReleaseReachTheFileSystem() throws {
        try withMount { mount in
            let descriptor = try check(open(mount("file"), O_WRONLY | O_CREAT, 0o600))
            try check(fsync(descriptor))
            try check(fdatasync(descriptor))
            close(descriptor)
            let directory = try check(open(mount.path, O_RDONLY | O_DIRECTORY))
            try check(fsync(directory))
            close(directory)
            #expect(eventually { mount.fileSystem.calls.contains("release") && mount.fileSystem.openHandles == 0 })
            for call in ["fsync false", "fsync true", "fsyncdir"] {
                #expect(mount.fileSystem.calls.contains(call))
            }
        }
    }

    @Test func theKernelAppliesTheUmask() throws {
        try withMount { mount in
            let before = umask(0o027)
            defer { umask(before) }
            close(try check(open(mount("file"), O_WRONLY | O_CREAT, 0o666)))
            try check(mkdir(mount("directory"), 0o777))
            #expect(try status(mount("file")).st_mode & 0o7777 == 0o640)
            #expect(try status(mount("directory")).st_mode & 0o7777 == 0o750)
        }
    }

    @Test func anUnlinkedFileStaysUsableWhileOpen() throws {
        try withMount { mount in
            let descriptor = try check(open(mount("file"), O_RDWR | O_CREAT, 0o600))
            defer { close(descriptor) }
            try check(unlink(mount("file")))
            #expect(write(descriptor, "still here", 10) == 10)
            lseek(descriptor, 0, SEEK_SET)
            #expect(try readAll(descriptor) == Array("still here".utf8))
            #expect(throws: Errno.noSuchFileOrDirectory) { try status(mount("file")) }
        }
    }

    /// HANDLE_KILLPRIV_V2: without it each write(2) costs a request more.
    @Test func writesDoNotAskForSecurityCapability() throws {
        try withMount { mount in
            let descriptor = try check(open(mount("file"), O_WRONLY | O_CREAT, 0o600))
            defer { close(descriptor) }
            for _ in 0..<100 { #expect(write(descriptor, "x", 1) == 1) }
            #expect(mount.fileSystem.calls.count { $0.hasPrefix("getxattr") } <= 2)
        }
    }

    @Test func whatNoBucketHoldsIsRefused() throws {
        try withMount { mount in
            try writeFile(mount("file"), [1])
            let descriptor = try check(open(mount("file"), O_RDWR))
            defer { close(descriptor) }
            #expect(ioctl(descriptor, UInt(0x5401)) == -1 && errno == ENOTTY)
            #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
            #expect(lockf(descriptor, F_TLOCK, 0) == 0)
        }
    }

    @Test func manyThreadsReadAndWriteAtOnce() throws {
        try withMount { mount in
            let failures = Failures()
            let threads = (0..<8).map { index in
                startThread {
                    do {
                        for round in 0..<20 {
                            let bytes = pattern(100_000 + index * 1000 + round, seed: UInt64(index * 100 + round + 1))
                            try writeFile(mount("file-\(index)"), bytes)
                            if try readFile(mount("file-\(index)")) != bytes { failures.add("differs") }
                        }
                    } catch {
                        failures.add("\(error)")
                    }
                }
            }
            for thread in threads { pthread_join(thread, nil) }
            #expect(failures.all == [])
        }
    }
}

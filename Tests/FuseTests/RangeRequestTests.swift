import CLinux
import Fuse
import Glibc
import SystemPackage
import Testing

/// fallocate, SEEK_DATA and SEEK_HOLE, copy_file_range through a real mount.
@Suite(.serialized) struct RangeRequestTests {
    private func withFile(_ bytes: [UInt8], _ body: (TestMount, Int32) throws -> Void) throws {
        try withMount { mount in
            try writeFile(mount("file"), bytes)
            let descriptor = try check(open(mount("file"), O_RDWR))
            defer { close(descriptor) }
            try body(mount, descriptor)
        }
    }

    @Test func theModesOfFallocateReachTheFileSystem() throws {
        try withFile([UInt8](repeating: 1, count: 100)) { mount, descriptor in
            let (keep, punch, zero) = (sluice_keep_size(), sluice_punch_hole(), sluice_zero_range())
            try check(sluice_fallocate(descriptor, 0, 50, 100))
            try check(sluice_fallocate(descriptor, keep, 0, 300))
            try check(sluice_fallocate(descriptor, zero, 10, 10))
            try check(sluice_fallocate(descriptor, zero | keep, 140, 100))
            try check(sluice_fallocate(descriptor, punch | keep, 30, 10))
            #expect(
                mount.fileSystem.calls.filter { $0.hasPrefix("fallocate") } == [
                    "fallocate 50 100 reserve(keepsSize: false)", "fallocate 0 300 reserve(keepsSize: true)",
                    "fallocate 10 10 zero(keepsSize: false)", "fallocate 140 100 zero(keepsSize: true)",
                    "fallocate 30 10 punchHole",
                ]
            )
            var expected = [UInt8](repeating: 1, count: 100) + [UInt8](repeating: 0, count: 50)
            for index in [10..<20, 30..<40].joined() { expected[index] = 0 }
            #expect(try readFile(mount("file")) == expected)
        }
    }

    /// FALLOC_FL_COLLAPSE_RANGE, INSERT_RANGE, UNSHARE_RANGE, WRITE_ZEROES.
    @Test func otherModesOfFallocateAreRefused() throws {
        try withFile([UInt8](repeating: 1, count: 10_000)) { mount, descriptor in
            for mode: Int32 in [0x08, 0x20, 0x40, 0x80, 0x41] {
                #expect(throws: Errno.notSupported) { try check(sluice_fallocate(descriptor, mode, 0, 4096)) }
            }
            #expect(!mount.fileSystem.calls.contains { $0.hasPrefix("fallocate") })
        }
    }

    /// A page that was read before must not show what a hole replaced.
    @Test func aHoleIsSeenThroughTheKernelsPages() throws {
        try withFile(pattern(64 << 10, seed: 1)) { mount, descriptor in
            let before = try readFile(mount("file"))
            try check(sluice_fallocate(descriptor, sluice_punch_hole() | sluice_keep_size(), 5000, 10_000))
            let hole = [UInt8](repeating: 0, count: 10_000)
            #expect(try readFile(mount("file")) == before[..<5000] + hole + before[15_000...])
        }
    }

    @Test func holesAndDataAreFound() throws {
        try withFile([]) { _, descriptor in
            #expect(pwrite(descriptor, [1], 1, 1 << 20) == 1)
            #expect(lseek(descriptor, 0, sluice_seek_data()) == 1 << 20)
            #expect(lseek(descriptor, 0, sluice_seek_hole()) == 0)
            #expect(lseek(descriptor, 1 << 20, sluice_seek_hole()) == 1 << 20 + 1)
            #expect(throws: Errno.noSuchAddressOrDevice) {
                try check(lseek(descriptor, 1 << 20 + 1, sluice_seek_data()))
            }
        }
    }

    @Test func aCopyIsOneRequestWithoutItsBytes() throws {
        let bytes = pattern(200_000, seed: 5)
        try withFile(bytes) { mount, descriptor in
            let target = try check(open(mount("target"), O_RDWR | O_CREAT, 0o600))
            defer { close(target) }
            #expect(sluice_copy_file_range(descriptor, 1000, target, 10, 150_000) == 150_000)
            #expect(try readAll(target) == [UInt8](repeating: 0, count: 10) + bytes[1000..<151_000])
            #expect(mount.fileSystem.calls.contains("copy_file_range 1000 10 150000"))
        }
    }

    @Test func whatCannotBeCopiedInPlaceIsCopiedByTheKernel() throws {
        let bytes = pattern(200_000, seed: 6)
        try withFile(bytes) { mount, descriptor in
            mount.fileSystem.state.withLock { $0.refusal = .notSupported }
            let target = try check(open(mount("target"), O_RDWR | O_CREAT, 0o600))
            defer { close(target) }
            var done = 0
            while done < bytes.count {
                let count = sluice_copy_file_range(
                    descriptor, Int64(done), target, Int64(done), bytes.count - done)
                try #require(count > 0)
                done += count
            }
            #expect(try readAll(target) == bytes)
        }
    }

    /// The kernel would never ask again.
    @Test func anOperationThatTheDiskDoesNotKnowIsNotSwitchedOff() throws {
        try withFile([1, 2, 3]) { mount, descriptor in
            let target = try check(open(mount("target"), O_RDWR | O_CREAT, 0o600))
            defer { close(target) }
            mount.fileSystem.state.withLock { $0.refusal = .noFunction }
            #expect(throws: Errno.notSupported) { try check(sluice_fallocate(descriptor, 0, 0, 10)) }
            #expect(throws: Errno.notSupported) { try check(lseek(descriptor, 0, sluice_seek_data())) }
            #expect(sluice_copy_file_range(descriptor, 0, target, 0, 3) == 3)
            mount.fileSystem.state.withLock {
                $0.refusal = nil
                $0.calls = []
            }
            try check(sluice_fallocate(descriptor, 0, 0, 10))
            #expect(lseek(descriptor, 0, sluice_seek_data()) == 0)
            #expect(sluice_copy_file_range(descriptor, 0, target, 3, 3) == 3)
            let calls = mount.fileSystem.calls
            for call in ["fallocate 0 10 reserve(keepsSize: false)", "lseek data 0", "copy_file_range 0 3 3"] {
                #expect(calls.contains(call))
            }
        }
    }
}

import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing

import struct SystemPackage.Errno

@testable import Cache

/// A file that is only in the bucket, opened while the disk has not a block left for its range log.
@Suite struct RangeLogRoomTests {
    /// Nothing that needs a block works while it is full.
    private final class FullDisk: ForwardingDisk {
        let base: any Disk
        let isFull = Atomic(false)

        init(_ base: any Disk) { self.base = base }

        func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile {
            if mode != .existing && isFull.load(ordering: .relaxed) { throw .noSpace }
            return try base.open(name, mode)
        }
    }

    @Test func theLogIsMadeByTheFirstRecordAndUntilThenNothingIsRecorded() throws {
        let directory = try TemporaryDirectory()
        let disk = FullDisk(try PosixDisk(path: directory.path))
        let boot = BootIdentity(high: 1, low: 1)
        var extents = FileExtents(baseLimit: 100)
        disk.isFull.store(true, ordering: .relaxed)
        var log = try RangeLog.open("log", on: disk, version: ETag("v1"), boot: boot, extents: &extents)
        #expect(throws: Errno.noSpace) { try log.append(.present(0..<10)) }
        disk.isFull.store(false, ordering: .relaxed)
        try log.append(.present(20..<30))
        var found = FileExtents(baseLimit: 100)
        _ = try RangeLog.open("log", on: disk, version: ETag("v1"), boot: boot, extents: &found)
        #expect(found.missing(in: 0..<100) == [0..<20, 30..<100])
    }
}

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
    private final class FullDisk: Disk {
        private let disk: PosixDisk
        let isFull = Atomic(false)

        init(_ disk: PosixDisk) { self.disk = disk }

        private func check() throws(Errno) {
            if isFull.load(ordering: .relaxed) { throw .noSpace }
        }

        func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile {
            if mode != .existing { try check() }
            return try disk.open(name, mode)
        }

        func remove(_ name: String) throws(Errno) { try disk.remove(name) }
        func rename(_ name: String, to newName: String) throws(Errno) { try disk.rename(name, to: newName) }
        func makeDirectory(_ name: String) throws(Errno) { try disk.makeDirectory(name) }
        func names(in directory: String) throws(Errno) -> [String] { try disk.names(in: directory) }
        func synchronizeDirectory(_ name: String) throws(Errno) { try disk.synchronizeDirectory(name) }
        func synchronizeAll() throws(Errno) { try disk.synchronizeAll() }
        func space() throws(Errno) -> DiskSpace { try disk.space() }
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

import Cache
import Foundation
import Logging
import ObjectStore
import Platform
import TestKit
import Testing

import struct SystemPackage.Errno
import struct SystemPackage.FileDescriptor

/// A cache on a real directory, which can be opened again as after the death of the process.
final class CacheFixture {
    private(set) var directory: TemporaryDirectory
    let time = ManualTime()
    var boot = BootIdentity(high: 1, low: 1)
    var limits = CacheLimits(limit: 1 << 30, reserve: 0)
    private(set) var journal: Journal
    private(set) var cache: FileCache

    init() throws {
        directory = try TemporaryDirectory()
        (journal, cache) = try Self.open(directory, limits, time, boot)
    }

    private static func open(
        _ directory: TemporaryDirectory, _ limits: CacheLimits, _ time: ManualTime, _ boot: BootIdentity
    ) throws -> (Journal, FileCache) {
        let journal = try Journal(path: directory.path("journal.db"))
        return (journal, try cache(journal, PosixDisk(path: directory.path), limits, time, boot))
    }

    private static func cache(
        _ journal: Journal, _ disk: any Disk, _ limits: CacheLimits, _ time: ManualTime, _ boot: BootIdentity
    ) throws -> FileCache {
        try FileCache(
            journal: journal, disk: disk, limits: limits, time: time, boot: boot,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    /// A further cache, as of a next process.
    func cache(of journal: Journal, on disk: any Disk) throws -> FileCache {
        try Self.cache(journal, disk, limits, time, boot)
    }

    /// What a new process finds after this one was killed: a copy of the files as they are, as this process holds
    /// the journal's lock.
    ///
    /// - Parameter damage: what happens to the files in between.
    func reopen(after damage: (_ directory: TemporaryDirectory) throws -> Void = { _ in }) throws {
        directory = try copied()
        try damage(directory)
        (journal, cache) = try Self.open(directory, limits, time, boot)
    }

    /// The same files, which no process uses.
    func copyForExamination<Value>(_ body: (_ path: String) throws -> Value) throws -> Value {
        let copy = try copied()
        return try withExtendedLifetime(copy) { try body(copy.path) }
    }

    private func copied() throws -> TemporaryDirectory {
        let copy = try TemporaryDirectory()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/cp")
        process.arguments = ["-a", directory.path + "/.", copy.path]
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Errno.ioError }
        return copy
    }

    /// A file that is new here, with nothing in the bucket.
    func makeFile(_ name: String, in journal: Journal? = nil) throws -> InodeNumber {
        try insert(name, in: journal) {
            $0.local = .complete
            $0.pending = .content
        }
    }

    /// A file of which only the object is known.
    func makeRemoteFile(_ name: String, size: Int64, etag: String = "v1") throws -> InodeNumber {
        try insert(name) {
            $0.size = size
            $0.remote = RemoteObject(key: ObjectKey(name), etag: ETag(etag), size: size)
        }
    }

    private func insert(
        _ name: String, in other: Journal? = nil, _ change: (inout Inode) -> Void
    ) throws -> InodeNumber {
        try (other ?? journal).write { transaction in
            if try transaction.inode(.root) == nil {
                _ = try transaction.insertInode {
                    Inode(number: $0, kind: .directory, permissions: 0o755, userID: 0, groupID: 0, time: time.wall)
                }
            }
            let inode = try transaction.insertInode {
                var inode = Inode(
                    number: $0, kind: .file, permissions: 0o644, userID: 0, groupID: 0, time: time.wall)
                change(&inode)
                return inode
            }
            guard let name = FileName(name) else { throw Errno.invalidArgument }
            try transaction.link(name, in: .root, to: inode.number)
            return inode.number
        }
    }

    /// A new file with these bytes, closed.
    func makeFile(_ name: String, _ text: String) throws -> InodeNumber {
        let number = try makeFile(name)
        let file = try cache.acquireNew(try #require(try row(number)), forWriting: true)
        try file.write(text, at: 0)
        cache.release(file, forWriting: true)
        return number
    }

    /// A file of which every byte was fetched, closed.
    func makeCleanFile(_ name: String, _ text: String) throws -> InodeNumber {
        let number = try makeRemoteFile(name, size: Int64(text.utf8.count))
        let file = try cache.acquire(number)
        try file.fill(text, at: 0)
        try cache.flush()
        cache.release(file)
        #expect(try row(number)?.local == .complete)
        return number
    }

    /// All bytes of a file come, and it is closed.
    @discardableResult
    func fetch(_ number: InodeNumber, _ text: String) throws -> CachedFile {
        let file = try cache.acquire(number)
        try file.fill(text, at: 0)
        cache.release(file)
        return file
    }

    func row(_ number: InodeNumber) throws -> Inode? { try journal.read { try $0.inode(number) } }
}

extension CachedFile {
    /// `meanwhile`: what happens in the middle of the write.
    func write(_ text: String, at offset: Int64, meanwhile: () -> Void = {}) throws {
        let bytes = Array(text.utf8)
        _ = try write(at: offset, count: bytes.count) { descriptor, offset throws(Errno) in
            meanwhile()
            return try FileDescriptor(rawValue: descriptor).writeWhole(bytes, at: offset)
        }
    }

    func text() throws -> String {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(status.size), alignment: 1)
        defer { buffer.deallocate() }
        let count = try read(into: buffer, at: 0)
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    func fill(_ text: String, at offset: Int64, of etag: String = "v1") throws {
        try Array(text.utf8).withUnsafeBytes { try fill($0, at: offset, of: ETag(etag)) }
    }
}

extension FileDescriptor {
    fileprivate func writeWhole(_ bytes: [UInt8], at offset: Int64) throws(Errno) -> Int {
        do {
            return try writeAll(toAbsoluteOffset: offset, bytes)
        } catch let errno as Errno {
            throw errno
        } catch {
            throw .ioError
        }
    }
}

import CLinux
import Dispatch
import Glibc
import Platform
import SystemPackage
import TestKit

/// The calls of programs as system calls below a directory.
///
/// They run on a thread of their own: the mount may need the threads of Swift's pool to answer.
final class MountCalls: PosixCalls {
    private let root: String
    private let queue = DispatchQueue(label: "system calls")

    init(root: String) {
        self.root = root
    }

    func full(_ path: String) -> String { path.isEmpty ? root : root + "/" + path }

    private func run<Value: Sendable>(_ call: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { done in
            queue.async { done.resume(with: Result { try call() }) }
        }
    }

    @discardableResult
    private func call<Value: SignedInteger & Sendable>(
        _ call: @escaping @Sendable () -> Value
    ) async throws -> Value {
        try await run { try systemCall(call) }
    }
}

// MARK: Open files

extension MountCalls {
    func open(_ path: String, _ flags: OpenFlags, _ mode: Mode) async throws -> OpenDescriptor {
        let (path, bits) = (full(path), flags.bits | O_NOFOLLOW)
        return try await run {
            let descriptor = try systemCall { sluice_openat(AT_FDCWD, path, bits, mode_t(mode.bits)) }
            guard try Self.status(of: descriptor).kind != .directory else {
                _ = Glibc.close(descriptor)
                throw Errno.isDirectory
            }
            return OpenDescriptor(number: descriptor)
        }
    }

    func close(_ file: OpenDescriptor) async throws { try await call { Glibc.close(file.number) } }

    func read(_ file: OpenDescriptor, at offset: Int64, count: Int) async throws -> [UInt8] {
        try await run {
            var failure: Errno?
            let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                do throws(Errno) {
                    filled = try systemCall { pread(file.number, buffer.baseAddress, count, off_t(offset)) }
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            return bytes
        }
    }

    func write(_ file: OpenDescriptor, at offset: Int64, _ bytes: [UInt8]) async throws -> Int {
        try await call { pwrite(file.number, bytes, bytes.count, off_t(offset)) }
    }

    func resize(_ file: OpenDescriptor, to size: Int64) async throws {
        try await call { ftruncate(file.number, off_t(size)) }
    }

    func allocate(_ file: OpenDescriptor, at offset: Int64, length: Int64, _ allocation: Allocation) async throws {
        try await call { sluice_fallocate(file.number, allocation.flags, offset, length) }
    }

    func synchronize(_ file: OpenDescriptor, dataOnly: Bool) async throws {
        try await call { dataOnly ? fdatasync(file.number) : fsync(file.number) }
    }

    func status(_ file: OpenDescriptor) async throws -> FileStatus {
        try await run { try Self.status(of: file.number) }
    }

    private static func status(of descriptor: Int32) throws(Errno) -> FileStatus {
        var status = stat()
        _ = try systemCall { fstat(descriptor, &status) }
        return FileStatus(status)
    }
}

// MARK: Names

extension MountCalls {
    func makeDirectory(_ path: String, _ mode: Mode) async throws {
        let path = full(path)
        try await call { mkdir(path, mode_t(mode.bits)) }
    }

    func removeDirectory(_ path: String) async throws {
        let path = full(path)
        try await call { rmdir(path) }
    }

    func unlink(_ path: String) async throws {
        let path = full(path)
        try await call { Glibc.unlink(path) }
    }

    func rename(_ path: String, to newPath: String, _ rule: RenameRule) async throws {
        let (path, newPath) = (full(path), full(newPath))
        try await call { sluice_rename(path, newPath, rule.rawValue) }
    }

    func makeSocket(_ path: String, _ mode: Mode) async throws {
        let path = full(path)
        try await call { mknod(path, mode_t(mode.bits) | 0o140000, 0) }
    }

    func link(_ path: String, to newPath: String) async throws {
        let (path, newPath) = (full(path), full(newPath))
        try await call { Glibc.link(path, newPath) }
    }

    func makeLink(_ path: String, to target: String) async throws {
        let path = full(path)
        try await call { symlink(target, path) }
    }

    func readLink(_ path: String) async throws -> String {
        let path = full(path)
        let target = try await buffer { readlink(path, $0.assumingMemoryBound(to: CChar.self), $1) }
        return String(decoding: target, as: UTF8.self)
    }

    func list(_ path: String) async throws -> [String] {
        let path = full(path)
        return try await run { try PosixDisk(path: path).names(in: ".").sorted() }
    }
}

// MARK: Attributes

extension MountCalls {
    func status(_ path: String) async throws -> FileStatus {
        let path = full(path)
        return try await run {
            var status = stat()
            _ = try systemCall { lstat(path, &status) }
            return FileStatus(status)
        }
    }

    func truncate(_ path: String, to size: Int64) async throws {
        let path = full(path)
        try await call { Glibc.truncate(path, off_t(size)) }
    }

    func chmod(_ path: String, _ mode: Mode) async throws {
        let path = full(path)
        try await call { Glibc.chmod(path, mode_t(mode.bits)) }
    }

    func chown(_ path: String, user: UInt32, group: UInt32) async throws {
        let path = full(path)
        try await call { lchown(path, user, group) }
    }

    /// UTIME_OMIT of utimensat(2).
    private static let omitted = (1 << 30) - 2

    func setModified(_ path: String, seconds: Int64, nanoseconds: Int64) async throws {
        let path = full(path)
        try await call {
            let times = [
                timespec(tv_sec: 0, tv_nsec: Self.omitted), timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)),
            ]
            return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW)
        }
    }

    func setAttribute(_ path: String, _ name: String, to value: [UInt8], _ rule: AttributeRule) async throws {
        let path = full(path)
        try await call { lsetxattr(path, name, value, value.count, rule.rawValue) }
    }

    func attribute(_ path: String, _ name: String) async throws -> [UInt8] {
        let path = full(path)
        return try await buffer { lgetxattr(path, name, $0, $1) }
    }

    func removeAttribute(_ path: String, _ name: String) async throws {
        let path = full(path)
        try await call { lremovexattr(path, name) }
    }

    func attributeNames(_ path: String) async throws -> [String] {
        let path = full(path)
        let names = try await buffer { llistxattr(path, $0.assumingMemoryBound(to: CChar.self), $1) }
        return names.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }.sorted()
    }

    /// What a call that fills a buffer says.
    private func buffer(_ fill: @escaping @Sendable (UnsafeMutableRawPointer, Int) -> Int) async throws -> [UInt8] {
        try await run {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)
            defer { buffer.deallocate() }
            guard let start = buffer.baseAddress else { return [] }
            let count = try systemCall { fill(start, buffer.count) }
            return Array(buffer[..<count])
        }
    }
}

extension FileStatus {
    init(_ status: stat) {
        let kind: FileKind =
            switch mode_t(status.st_mode) & 0o170000 {
            case 0o040000: .directory
            case 0o120000: .link
            case 0o140000: .socket
            default: .file
            }
        self.init(
            kind: kind, permissions: Mode(UInt16(status.st_mode & 0o7777)), links: Int(status.st_nlink),
            userID: status.st_uid, groupID: status.st_gid, size: Int64(status.st_size),
            modified: Timestamp(seconds: Int64(status.st_mtim.tv_sec), nanoseconds: Int64(status.st_mtim.tv_nsec)))
    }
}

extension OpenFlags {
    fileprivate var bits: Int32 {
        var bits: Int32 = contains(.write) ? (contains(.read) ? O_RDWR : O_WRONLY) : O_RDONLY
        if contains(.create) { bits |= O_CREAT }
        if contains(.exclusive) { bits |= O_EXCL }
        if contains(.truncate) { bits |= O_TRUNC }
        if contains(.append) { bits |= O_APPEND }
        return bits
    }
}

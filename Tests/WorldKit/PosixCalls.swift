import Platform
import SystemPackage
import TestKit

/// The calls of programs, by path and descriptor: as the kernel's system calls, and as the kernel makes requests of
/// them. What holds of the file system is tested against this, in every world that there is.
///
/// Paths are relative to the root of the file system. All methods throw `Errno`.
protocol PosixCalls: Sendable {
    /// Never follows a link, opens no directory.
    func open(_ path: String, _ flags: OpenFlags, _ mode: Mode) async throws -> OpenDescriptor
    func close(_ file: OpenDescriptor) async throws
    func read(_ file: OpenDescriptor, at offset: Int64, count: Int) async throws -> [UInt8]
    func write(_ file: OpenDescriptor, at offset: Int64, _ bytes: [UInt8]) async throws -> Int
    func resize(_ file: OpenDescriptor, to size: Int64) async throws
    func allocate(_ file: OpenDescriptor, at offset: Int64, length: Int64, _ allocation: Allocation) async throws
    /// `dataOnly`: fdatasync(2).
    func synchronize(_ file: OpenDescriptor, dataOnly: Bool) async throws
    func status(_ file: OpenDescriptor) async throws -> FileStatus

    func truncate(_ path: String, to size: Int64) async throws
    /// Of a link itself.
    func status(_ path: String) async throws -> FileStatus
    func makeDirectory(_ path: String, _ mode: Mode) async throws
    func removeDirectory(_ path: String) async throws
    func unlink(_ path: String) async throws
    func rename(_ path: String, to newPath: String, _ rule: RenameRule) async throws
    /// A further name; of a link itself.
    func link(_ path: String, to newPath: String) async throws
    func makeSocket(_ path: String, _ mode: Mode) async throws
    func makeLink(_ path: String, to target: String) async throws
    func readLink(_ path: String) async throws -> String
    func chmod(_ path: String, _ mode: Mode) async throws
    /// Of a link itself.
    func chown(_ path: String, user: UInt32, group: UInt32) async throws
    /// Of a link itself; the access time stays.
    func setModified(_ path: String, seconds: Int64, nanoseconds: Int64) async throws
    func setAttribute(_ path: String, _ name: String, to value: [UInt8], _ rule: AttributeRule) async throws
    func attribute(_ path: String, _ name: String) async throws -> [UInt8]
    func removeAttribute(_ path: String, _ name: String) async throws
    func attributeNames(_ path: String) async throws -> [String]
    /// Names but `.` and `..`, sorted.
    func list(_ path: String) async throws -> [String]
}

struct OpenDescriptor: Hashable, Sendable {
    var number: Int32
}

// MARK: In short

extension PosixCalls {
    func create(_ path: String, _ mode: Mode = 0o644) async throws -> OpenDescriptor {
        try await open(path, [.read, .write, .create, .exclusive], mode)
    }

    func open(_ path: String, _ flags: OpenFlags) async throws -> OpenDescriptor { try await open(path, flags, 0) }

    @discardableResult
    func write(_ file: OpenDescriptor, _ text: String, at offset: Int64 = 0) async throws -> Int {
        try await write(file, at: offset, Array(text.utf8))
    }

    func read(_ file: OpenDescriptor, at offset: Int64 = 0) async throws -> String {
        String(decoding: try await read(file, at: offset, count: 1 << 20), as: UTF8.self)
    }

    func makeDirectory(_ path: String) async throws { try await makeDirectory(path, 0o755) }

    func rename(_ path: String, to newPath: String) async throws {
        try await rename(path, to: newPath, .replace)
    }

    /// The whole content.
    func writeFile(_ path: String, _ text: String) async throws {
        let file = try await open(path, [.write, .create, .truncate], 0o644)
        _ = try await write(file, text)
        try await close(file)
    }

    func readFile(_ path: String) async throws -> String {
        let file = try await open(path, .read)
        do {
            let text = try await read(file)
            try await close(file)
            return text
        } catch {
            try await close(file)
            throw error
        }
    }

    func exists(_ path: String) async throws -> Bool {
        do {
            _ = try await status(path)
            return true
        } catch Errno.noSuchFileOrDirectory {
            return false
        }
    }
}

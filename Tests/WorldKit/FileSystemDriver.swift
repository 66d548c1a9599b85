import Cache
import FileSystem
import Platform
import Synchronization

import struct SystemPackage.Errno
import struct SystemPackage.FileDescriptor

/// Drives a file system by paths as the kernel would: looks every component up, gives references back, waits for
/// answers that are parked.
final class FileSystemDriver: Sendable {
    let fileSystem: any FileSystemOperations
    let caller = Caller(userID: 1000, groupID: 1000, processID: 1, umask: 0o022)

    init(_ fileSystem: any FileSystemOperations) {
        self.fileSystem = fileSystem
    }

    /// Waits for an answer.
    func wait<Value: Sendable>(
        _ start: (@escaping Reply<Value>) -> (any PendingOperation)?
    ) async throws(Errno) -> Value {
        let result: Result<Value, Errno> = await withCheckedContinuation { done in
            _ = start { done.resume(returning: $0) }
        }
        return try result.get()
    }

    // MARK: Names

    /// Looks a path up, runs `body` while the references are held, gives them back.
    func with<Value>(
        _ path: String, _ body: (FileAttributes) async throws -> Value
    ) async throws -> Value {
        var current = try fileSystem.attributes(of: .root).0
        var held: [InodeNumber] = []
        defer { for inode in held { fileSystem.forget(inode, count: 1) } }
        for component in path.split(separator: "/") {
            let name = try Self.name(component)
            let entry = try await wait { fileSystem.lookup(name, in: current.inode, reply: $0) }
            held.append(entry.attributes.inode)
            current = entry.attributes
        }
        return try await body(current)
    }

    /// As the kernel's requests do before they change attributes.
    func know(_ inode: InodeNumber, forExtended name: String? = nil) async throws {
        try await wait { self.fileSystem.awaitAttributes(of: inode, forExtended: name, reply: $0) }
    }

    func stat(_ path: String) async throws -> FileAttributes {
        try await with(path) { try self.fileSystem.attributes(of: $0.inode).0 }
    }

    /// How long the kernel may answer for a name by itself.
    func timeToLive(of name: FileName, in parent: InodeNumber = .root) async throws -> Duration {
        let entry = try await wait { self.fileSystem.lookup(name, in: parent, reply: $0) }
        fileSystem.forget(entry.attributes.inode, count: 1)
        return entry.timeToLive
    }

    func exists(_ path: String) async throws -> Bool {
        do {
            _ = try await stat(path)
            return true
        } catch let errno as Errno where errno == .noSuchFileOrDirectory {
            return false
        }
    }

    func setPermissions(_ path: String, _ permissions: UInt16) async throws {
        var change = AttributeChange()
        change.permissions = permissions
        try await set(path, change)
    }

    func set(_ path: String, _ change: AttributeChange) async throws {
        try await with(path) {
            try await self.know($0.inode)
            _ = try self.fileSystem.setAttributes(of: $0.inode, change, caller: self.caller)
        }
    }

    func setExtendedAttribute(_ path: String, _ name: String, _ value: String) async throws {
        try await with(path) {
            try await self.know($0.inode, forExtended: name)
            try self.fileSystem.setExtendedAttribute(name, to: Array(value.utf8), of: $0.inode, mode: .createOrReplace)
        }
    }

    func extendedAttribute(_ path: String, _ name: String) async throws -> String {
        try await with(path) {
            try await self.know($0.inode, forExtended: name)
            return String(decoding: try self.fileSystem.extendedAttribute(name, of: $0.inode), as: UTF8.self)
        }
    }

    func makeDirectory(_ path: String) async throws {
        try await inParent(path) { parent, name in
            let entry = try self.fileSystem.makeDirectory(name, in: parent, permissions: 0o755, caller: self.caller)
            self.fileSystem.forget(entry.attributes.inode, count: 1)
        }
    }

    func makeLink(_ path: String, to target: String) async throws {
        try await inParent(path) { parent, name in
            let entry = try self.fileSystem.makeSymbolicLink(name, in: parent, target: target, caller: self.caller)
            self.fileSystem.forget(entry.attributes.inode, count: 1)
        }
    }

    func makeHardLink(_ path: String, to existing: String) async throws {
        try await with(existing) { inode in
            try await self.know(inode.inode)
            try await self.inParent(path) { parent, name in
                let entry = try self.fileSystem.makeHardLink(name, in: parent, to: inode.inode)
                self.fileSystem.forget(entry.attributes.inode, count: 1)
            }
        }
    }

    func makeNode(_ path: String, _ kind: InodeKind, device: UInt64 = 0) async throws {
        try await inParent(path) { parent, name in
            let entry = try self.fileSystem.makeNode(
                name, in: parent, kind: kind, device: device, permissions: 0o640, caller: self.caller)
            self.fileSystem.forget(entry.attributes.inode, count: 1)
        }
    }

    func readLink(_ path: String) async throws -> String {
        try await with(path) { inode in
            try await self.wait { self.fileSystem.readSymbolicLink(inode.inode, reply: $0) }
        }
    }

    func unlink(_ path: String) async throws {
        try await inParent(path) { try self.fileSystem.unlink($1, in: $0) }
    }

    func removeDirectory(_ path: String) async throws {
        try await inParent(path) { parent, name in
            try await self.wait { self.fileSystem.removeDirectory(name, in: parent, reply: $0) }
        }
    }

    func rename(_ from: String, _ to: String, _ flags: RenameFlags = []) async throws {
        try await inParent(from) { parent, name in
            try await self.inParent(to) { newParent, newName in
                try await self.wait {
                    self.fileSystem.rename(name, in: parent, to: newName, in: newParent, flags: flags, reply: $0)
                }
            }
        }
    }

    /// Names but `.` and `..`, in the order of the stream.
    func list(_ path: String) async throws -> [String] {
        try await with(path) { directory in
            let handle = try await self.wait { self.fileSystem.openDirectory(directory.inode, reply: $0) }
            defer { self.fileSystem.releaseDirectory(handle) }
            return try await self.readAll(handle, batch: 3)
        }
    }

    /// Reads a stream in small batches with attributes, as the kernel's buffer makes it.
    func readAll(_ handle: HandleNumber, batch: Int) async throws -> [String] {
        var names: [String] = []
        var offset: Int64 = 0
        while true {
            var taken = 0
            let next = offset
            try await wait { self.fileSystem.awaitEntries(handle, offset: next, reply: $0) }
            try fileSystem.readDirectory(handle, offset: offset, withAttributes: true) { entry in
                guard taken < batch else { return false }
                taken += 1
                offset = entry.nextOffset
                if let inode = entry.entry?.attributes.inode { fileSystem.forget(inode, count: 1) }
                names.append(entry.name)
                return true
            }
            if taken == 0 { break }
        }
        return names.filter { $0 != "." && $0 != ".." }
    }

    // MARK: Data

    func create(_ path: String, permissions: UInt16 = 0o644, _ mode: OpenMode = [.read, .write]) async throws
        -> HandleNumber
    {
        try await inParent(path) { parent, name in
            let (entry, opened) = try self.fileSystem.create(
                name, in: parent, permissions: permissions, mode: mode, caller: self.caller)
            self.fileSystem.forget(entry.attributes.inode, count: 1)
            return opened.handle
        }
    }

    func open(_ path: String, _ mode: OpenMode) async throws -> HandleNumber {
        try await with(path) { inode in
            try await self.wait { self.fileSystem.open(inode.inode, mode: mode, reply: $0) }.handle
        }
    }

    /// ENOSPC where it would have to wait for space.
    @discardableResult
    func write(_ handle: HandleNumber, _ text: String, at offset: Int64 = 0) throws -> Int {
        guard let count = try writeNow(handle, Array(text.utf8), at: offset) else { throw Errno.noSpace }
        return count
    }

    /// Nil if it has to wait for space.
    func writeNow(_ handle: HandleNumber, _ bytes: [UInt8], at offset: Int64) throws(Errno) -> Int? {
        try fileSystem.write(handle, offset: offset, count: bytes.count) { descriptor, offset throws(Errno) in
            try writeBytes(bytes[...], to: descriptor, at: offset)
        }
    }

    /// Waits for space if need be.
    func write(_ handle: HandleNumber, _ bytes: [UInt8], at offset: Int64) async throws(Errno) -> Int {
        if let count = try writeNow(handle, bytes, at: offset) { return count }
        return try await wait { fileSystem.writeWhenRoom(handle, offset: offset, bytes, reply: $0) }
    }

    func read(_ handle: HandleNumber, at offset: Int64 = 0, count: Int = 1 << 20) async throws -> String {
        String(decoding: try await readBytes(handle, at: offset, count: count), as: UTF8.self)
    }

    func readBytes(_ handle: HandleNumber, at offset: Int64, count: Int) async throws -> [UInt8] {
        switch try await wait({ fileSystem.read(handle, offset: offset, count: count, reply: $0) }) {
        case .memory(let bytes): return bytes
        case .region(let region):
            return try withExtendedLifetime(region.owner) {
                try [UInt8](unsafeUninitializedCapacity: region.count) { buffer, filled in
                    filled = try FileDescriptor(rawValue: region.descriptor)
                        .read(fromAbsoluteOffset: region.offset, into: UnsafeMutableRawBufferPointer(buffer))
                }
            }
        }
    }

    func writeFile(_ path: String, _ text: String) async throws {
        let handle = try await exists(path) ? open(path, [.write, .truncate]) : create(path)
        defer { fileSystem.release(handle) }
        try write(handle, text)
    }

    func readFile(_ path: String) async throws -> String {
        let handle = try await open(path, .read)
        defer { fileSystem.release(handle) }
        return try await read(handle)
    }

    // MARK: Helpers

    func inParent<Value>(
        _ path: String, _ body: (InodeNumber, FileName) async throws -> Value
    ) async throws -> Value {
        let components = path.split(separator: "/")
        guard let last = components.last else { throw Errno.invalidArgument }
        let name = try Self.name(last)
        return try await with(components.dropLast().joined(separator: "/")) { try await body($0.inode, name) }
    }

    private static func name(_ text: Substring) throws(Errno) -> FileName {
        guard let name = FileName(String(text)) else { throw .fileNameTooLong }
        return name
    }
}

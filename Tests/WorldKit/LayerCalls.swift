import Cache
import FileSystem
import Platform
import Synchronization
import TestKit

import struct SystemPackage.Errno

/// The calls of programs carried out by the file system without a kernel: does here what the kernel does before it
/// asks a file system, no more.
final class LayerCalls: PosixCalls {
    private struct Open: Sendable {
        var handle: HandleNumber
        var inode: InodeNumber
        var flags: OpenFlags
        /// Where the bytes go past the file system.
        var backing: BackingNumber?

        init(_ opened: OpenedFile, _ inode: InodeNumber, _ flags: OpenFlags) {
            handle = opened.handle
            backing = opened.backing
            self.inode = inode
            self.flags = flags
        }
    }

    private struct Table {
        var last: Int32 = 0
        var open: [OpenDescriptor: Open] = [:]
    }

    private let driver: FileSystemDriver
    /// What the file system is attached to, if to anything.
    private let kernel: SimulatedKernel?
    private let table = Mutex(Table())
    private var fileSystem: any FileSystemOperations { driver.fileSystem }

    init(_ driver: FileSystemDriver, kernel: SimulatedKernel? = nil) {
        self.driver = driver
        self.kernel = kernel
    }

    private func wait<Value: Sendable>(
        _ start: (@escaping Reply<Value>) -> (any PendingOperation)?
    ) async throws -> Value {
        try await driver.wait(start)
    }

    private func at<Value>(
        _ path: String, follow: Bool = false, _ body: (LayerPath) async throws -> Value
    ) async throws -> Value {
        let place = try await LayerPath.resolve(path, follow: follow, driver)
        defer { place.giveBack() }
        return try await body(place)
    }

    /// What is at a path; ENOENT if there is nothing.
    private func with<Value>(
        _ path: String, follow: Bool = false, _ body: (FileAttributes) async throws -> Value
    ) async throws -> Value {
        try await at(path, follow: follow) { place in
            guard let found = place.found else { throw Errno.noSuchFileOrDirectory }
            return try await body(found)
        }
    }

    private func change(_ inode: InodeNumber, _ change: (inout AttributeChange) -> Void) async throws {
        try await driver.know(inode)
        var wanted = AttributeChange()
        change(&wanted)
        _ = try fileSystem.setAttributes(of: inode, wanted, caller: driver.caller)
    }

    private func shown(_ attributes: FileAttributes) -> FileStatus {
        let kind: FileKind =
            switch attributes.kind {
            case .file: .file
            case .directory: .directory
            case .symbolicLink: .link
            case .pipe, .socket, .characterDevice, .blockDevice: .socket
            }
        return FileStatus(
            kind: kind, permissions: Mode(attributes.permissions), links: Int(attributes.linkCount),
            userID: attributes.userID, groupID: attributes.groupID, size: attributes.size,
            modified: attributes.modified)
    }
}

// MARK: Open files

extension LayerCalls {
    func open(_ path: String, _ flags: OpenFlags, _ mode: Mode) async throws -> OpenDescriptor {
        try await at(path) { place in
            guard let found = place.found else {
                guard flags.contains(.create) else { throw Errno.noSuchFileOrDirectory }
                let (entry, opened) = try fileSystem.create(
                    place.name, in: place.parent, permissions: mode.bits, mode: flags.openMode, caller: driver.caller)
                return enter(Open(opened, entry.attributes.inode, flags))
            }
            if flags.isSuperset(of: [.create, .exclusive]) { throw Errno.fileExists }
            if found.kind == .directory { throw Errno.isDirectory }
            if found.kind == .symbolicLink { throw Errno.tooManySymbolicLinkLevels }
            if found.kind == .socket { throw Errno.noSuchAddressOrDevice }
            let opened = try await wait { fileSystem.open(found.inode, mode: flags.openMode, reply: $0) }
            // An open file is a reference of the kernel.
            place.keepFound()
            return enter(Open(opened, found.inode, flags))
        }
    }

    private func enter(_ open: Open) -> OpenDescriptor {
        table.withLock { table in
            table.last += 1
            let descriptor = OpenDescriptor(number: table.last)
            table.open[descriptor] = open
            return descriptor
        }
    }

    private func opened(_ file: OpenDescriptor) throws -> Open {
        guard let open = table.withLock({ $0.open[file] }) else { throw Errno.badFileDescriptor }
        return open
    }

    func close(_ file: OpenDescriptor) async throws {
        guard let open = table.withLock({ $0.open.removeValue(forKey: file) }) else { throw Errno.badFileDescriptor }
        fileSystem.release(open.handle)
        fileSystem.forget(open.inode, count: 1)
    }

    func read(_ file: OpenDescriptor, at offset: Int64, count: Int) async throws -> [UInt8] {
        let open = try opened(file)
        guard open.flags.contains(.read) else { throw Errno.badFileDescriptor }
        if let kernel, let backing = open.backing { return try kernel.read(backing, at: offset, count: count) }
        return try await driver.readBytes(open.handle, at: offset, count: count)
    }

    func write(_ file: OpenDescriptor, at offset: Int64, _ bytes: [UInt8]) async throws -> Int {
        let open = try opened(file)
        guard open.flags.contains(.write) else { throw Errno.badFileDescriptor }
        if let kernel, let backing = open.backing {
            return try kernel.write(bytes, to: backing, at: open.flags.contains(.append) ? nil : offset)
        }
        let end = open.flags.contains(.append) ? try fileSystem.attributes(of: open.inode).0.size : offset
        return try await driver.write(open.handle, bytes, at: end)
    }

    func resize(_ file: OpenDescriptor, to size: Int64) async throws {
        let open = try opened(file)
        guard open.flags.contains(.write) else { throw Errno.invalidArgument }
        try await change(open.inode) { $0.size = size }
    }

    func allocate(_ file: OpenDescriptor, at offset: Int64, length: Int64, _ allocation: Allocation) async throws {
        let open = try opened(file)
        guard open.flags.contains(.write) else { throw Errno.badFileDescriptor }
        try await wait { fileSystem.allocate(open.handle, offset: offset, length: length, allocation, reply: $0) }
    }

    func synchronize(_ file: OpenDescriptor, dataOnly: Bool) async throws {
        try fileSystem.synchronize(opened(file).handle, dataOnly: dataOnly)
    }

    func status(_ file: OpenDescriptor) async throws -> FileStatus {
        shown(try fileSystem.attributes(of: opened(file).inode).0)
    }
}

// MARK: Names

extension LayerCalls {
    func makeDirectory(_ path: String, _ mode: Mode) async throws {
        try await make(path) {
            try fileSystem.makeDirectory($0.name, in: $0.parent, permissions: mode.bits, caller: driver.caller)
        }
    }

    func makeLink(_ path: String, to target: String) async throws {
        guard !target.isEmpty else { throw Errno.noSuchFileOrDirectory }
        try await make(path) {
            try fileSystem.makeSymbolicLink($0.name, in: $0.parent, target: target, caller: driver.caller)
        }
    }

    func makeSocket(_ path: String, _ mode: Mode) async throws {
        try await make(path) {
            try fileSystem.makeNode(
                $0.name, in: $0.parent, kind: .socket, device: 0, permissions: mode.bits, caller: driver.caller)
        }
    }

    func link(_ path: String, to newPath: String) async throws {
        try await with(path) { found in
            try await driver.know(found.inode)
            try await make(newPath) {
                if found.kind == .directory { throw Errno.notPermitted }
                return try fileSystem.makeHardLink($0.name, in: $0.parent, to: found.inode)
            }
        }
    }

    private func make(_ path: String, _ make: (LayerPath) throws -> Entry) async throws {
        try await at(path) { place in
            guard place.found == nil else { throw Errno.fileExists }
            fileSystem.forget(try make(place).attributes.inode, count: 1)
        }
    }

    func removeDirectory(_ path: String) async throws {
        try await at(path) { place in
            guard place.found != nil else { throw Errno.noSuchFileOrDirectory }
            let name = try place.name
            try await wait { fileSystem.removeDirectory(name, in: place.parent, reply: $0) }
        }
    }

    func unlink(_ path: String) async throws {
        try await at(path) { place in
            guard place.found != nil else { throw Errno.noSuchFileOrDirectory }
            try fileSystem.unlink(place.name, in: place.parent)
        }
    }

    func rename(_ path: String, to newPath: String, _ rule: RenameRule) async throws {
        try await at(path) { from in
            try await at(newPath) { to in
                try checkRename(from, to, rule)
                let (name, newName) = (try from.name, try to.name)
                try await wait {
                    fileSystem.rename(
                        name, in: from.parent, to: newName, in: to.parent,
                        flags: .init(rawValue: rule.rawValue), reply: $0)
                }
            }
        }
    }

    /// The kernel looks both names up, and keeps trees from going into themselves.
    private func checkRename(_ from: LayerPath, _ to: LayerPath, _ rule: RenameRule) throws {
        guard let source = from.found?.inode else { throw Errno.noSuchFileOrDirectory }
        if to.found != nil && rule == .noReplace { throw Errno.fileExists }
        if to.found == nil && rule == .exchange { throw Errno.noSuchFileOrDirectory }
        if to.directories.contains(where: { $0.inode == source }) { throw Errno.invalidArgument }
        guard let target = to.found?.inode, from.directories.contains(where: { $0.inode == target }) else { return }
        throw rule == .exchange ? Errno.invalidArgument : .directoryNotEmpty
    }

    func list(_ path: String) async throws -> [String] {
        try await with(path, follow: true) { directory in
            guard directory.kind == .directory else { throw Errno.notDirectory }
            let handle = try await wait { fileSystem.openDirectory(directory.inode, reply: $0) }
            defer { fileSystem.releaseDirectory(handle) }
            return try await driver.readAll(handle, batch: 3).sorted()
        }
    }

    func readLink(_ path: String) async throws -> String {
        try await with(path) { found in
            guard found.kind == .symbolicLink else { throw Errno.invalidArgument }
            return try await wait { fileSystem.readSymbolicLink(found.inode, reply: $0) }
        }
    }
}

// MARK: Attributes

extension LayerCalls {
    func status(_ path: String) async throws -> FileStatus {
        try await with(path) { shown(try fileSystem.attributes(of: $0.inode).0) }
    }

    func truncate(_ path: String, to size: Int64) async throws {
        try await with(path, follow: true) { found in
            if found.kind == .directory { throw Errno.isDirectory }
            if found.kind == .socket { throw Errno.invalidArgument }
            try await change(found.inode) { $0.size = size }
        }
    }

    func chmod(_ path: String, _ mode: Mode) async throws {
        try await with(path, follow: true) { try await change($0.inode) { $0.permissions = mode.bits } }
    }

    func chown(_ path: String, user: UInt32, group: UInt32) async throws {
        try await with(path) {
            try await change($0.inode) {
                $0.userID = user
                $0.groupID = group
            }
        }
    }

    func setModified(_ path: String, seconds: Int64, nanoseconds: Int64) async throws {
        let time = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        try await with(path) { try await change($0.inode) { $0.modified = .at(time) } }
    }

    func setAttribute(_ path: String, _ name: String, to value: [UInt8], _ rule: AttributeRule) async throws {
        let mode: ExtendedAttributeMode =
            switch rule {
            case .createOrReplace: .createOrReplace
            case .create: .create
            case .replace: .replace
            }
        try await with(path) { found in
            if !found.mayHaveAttributes { throw Errno.notPermitted }
            try await driver.know(found.inode, forExtended: name)
            try fileSystem.setExtendedAttribute(name, to: value, of: found.inode, mode: mode)
        }
    }

    func attribute(_ path: String, _ name: String) async throws -> [UInt8] {
        try await with(path) { found in
            if !found.mayHaveAttributes { throw Errno.noData }
            try await driver.know(found.inode, forExtended: name)
            return try fileSystem.extendedAttribute(name, of: found.inode)
        }
    }

    func removeAttribute(_ path: String, _ name: String) async throws {
        try await with(path) { found in
            if !found.mayHaveAttributes { throw Errno.notPermitted }
            try await driver.know(found.inode, forExtended: name)
            try fileSystem.removeExtendedAttribute(name, of: found.inode)
        }
    }

    func attributeNames(_ path: String) async throws -> [String] {
        try await with(path) {
            try await driver.know($0.inode)
            return try fileSystem.extendedAttributeNames(of: $0.inode).sorted()
        }
    }
}

extension FileAttributes {
    /// xattr(7): user attributes are for files and directories.
    fileprivate var mayHaveAttributes: Bool { kind == .file || kind == .directory }
}

extension OpenFlags {
    fileprivate var openMode: OpenMode {
        var mode: OpenMode = []
        if contains(.read) { mode.insert(.read) }
        if contains(.write) { mode.insert(.write) }
        if contains(.exclusive) { mode.insert(.exclusive) }
        if contains(.truncate) { mode.insert(.truncate) }
        if contains(.append) { mode.insert(.append) }
        return mode
    }
}

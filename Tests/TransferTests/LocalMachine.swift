import Cache
import Logging
import ObjectStore
import Platform
import TestKit

import struct SystemPackage.Errno
import struct SystemPackage.FileDescriptor

@testable import Transfer

/// A machine with a state directory, on which programs work as the file system lets them, and a process that can die
/// and start again. Holds beside it what the programs would expect to find: the model.
final class LocalMachine {
    struct Node: Equatable {
        var kind: InodeKind
        var bytes: [UInt8] = []
        var permissions: UInt16
    }

    struct Handle {
        let number: InodeNumber
        let file: CachedFile
    }

    static let defaults = RemoteDefaults(
        filePermissions: 0o644, directoryPermissions: 0o755, userID: 7, groupID: 8)

    let directory: TemporaryDirectory
    let time: ManualTime
    let store: any ObjectStore
    let disk: WatchedDisk
    private(set) var journal: Journal
    private(set) var cache: FileCache
    private(set) var reconciler: Reconciler
    private(set) var model: [String: Node] = [:]
    private(set) var handles: [String: Handle] = [:]
    private(set) var changes = ChangeLog()
    private var tokens = 0
    private let partConcurrency: Int

    init(store: any ObjectStore, time: ManualTime = ManualTime(), partConcurrency: Int = 1) throws {
        self.store = store
        self.time = time
        self.partConcurrency = partConcurrency
        directory = try TemporaryDirectory(in: "/dev/shm")
        disk = try WatchedDisk(path: directory.path)
        (journal, cache, reconciler) = try Self.open(directory, disk, store, time, changes, partConcurrency)
        _ = try journal.write { transaction in
            try transaction.insertInode {
                Inode(number: $0, kind: .directory, permissions: 0o755, userID: 0, groupID: 0, time: time.wall)
            }
        }
    }

    private static func open(
        _ directory: TemporaryDirectory,
        _ disk: WatchedDisk,
        _ store: any ObjectStore,
        _ time: ManualTime,
        _ changes: ChangeLog,
        _ partConcurrency: Int
    ) throws -> (Journal, FileCache, Reconciler) {
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        let journal = try Journal(path: directory.path("journal.db"))
        let cache = try FileCache(
            journal: journal,
            disk: disk,
            limits: CacheLimits(limit: 1, reserve: 0),
            time: time,
            boot: BootIdentity(high: 1, low: 1),
            logger: logger
        )
        let reconciler = Reconciler(
            store: store,
            cache: cache,
            settings: Reconciler.Settings(
                host: "robot", defaults: defaults, singlePutLimit: 24, partSize: 8, partConcurrency: partConcurrency,
                strayPause: .zero),
            time: time,
            logger: logger,
            materialize: { try await fetch($0, $1, from: store) },
            onChange: { changes.add($0) }
        )
        return (journal, cache, reconciler)
    }

    /// What a fetcher does.
    static func fetch(_ file: CachedFile, _ range: Range<Int64>, from store: any ObjectStore) async throws {
        for range in file.missing(in: range) {
            guard let base = file.base else { return }
            let sink = MemoryByteSink()
            _ = try await store.get(base.key, range: range, ifMatch: base.etag, into: sink)
            try sink.bytes.withUnsafeBytes { try file.fill($0, at: range.lowerBound, of: base.etag) }
        }
    }

    /// The process dies with everything it had open, and a new one starts.
    func restart() throws {
        handles = [:]
        try journal.close()
        (journal, cache, reconciler) = try Self.open(directory, disk, store, time, changes, partConcurrency)
    }
}

/// What was reported to the kernel.
///
/// SAFETY: tests that use it run their reconciler in one task.
final class ChangeLog: @unchecked Sendable {
    private(set) var all: [BucketChange] = []
    func add(_ changes: [BucketChange]) { all += changes }
}

// MARK: Programs

extension LocalMachine {
    private func split(_ path: String) throws -> (parent: InodeNumber, name: FileName) {
        let pieces = path.split(separator: "/")
        let parent = pieces.dropLast().joined(separator: "/")
        guard let last = pieces.last, let name = FileName(String(last)),
            let inode = try journal.read({ try $0.inode(at: parent) })
        else { throw Errno.noSuchFileOrDirectory }
        return (inode.number, name)
    }

    func inode(_ path: String) throws -> Inode? { try journal.read { try $0.inode(at: path) } }

    private func make(_ path: String, _ kind: InodeKind, target: String? = nil) throws -> Inode {
        let (parent, name) = try split(path)
        let now = time.wall
        return try journal.write { transaction in
            let inode = try transaction.insertInode { number in
                var inode = Inode(number: number, kind: kind, permissions: 0o644, userID: 1, groupID: 2, time: now)
                inode.linkTarget = target
                inode.pending = .content
                inode.local = kind == .file ? .complete : .none
                return inode
            }
            try transaction.link(name, in: parent, to: inode.number)
            return inode
        }
    }

    func makeDirectory(_ path: String) throws {
        _ = try make(path, .directory)
        model[path] = Node(kind: .directory, permissions: 0o644)
    }

    func makeLink(_ path: String, to target: String) throws {
        _ = try make(path, .symbolicLink, target: target)
        model[path] = Node(kind: .symbolicLink, bytes: Array(target.utf8), permissions: 0o644)
    }

    /// Opens a file for writing under `path` for ``write(_:at:through:)``; made if there is none.
    func open(_ path: String) throws {
        guard handles[path] == nil else { return }
        if let inode = try inode(path) {
            handles[path] = Handle(number: inode.number, file: try cache.acquire(inode.number, forWriting: true))
        } else {
            let inode = try make(path, .file)
            handles[path] = Handle(number: inode.number, file: try cache.acquireNew(inode, forWriting: true))
            model[path] = Node(kind: .file, permissions: 0o644)
        }
    }

    func write(_ bytes: [UInt8], at offset: Int, through path: String) throws {
        guard let file = handles[path]?.file else { throw Errno.badFileDescriptor }
        try file.write(bytes, at: Int64(offset))
        var content = model[path]?.bytes ?? []
        if content.count < offset + bytes.count {
            content += [UInt8](repeating: 0, count: offset + bytes.count - content.count)
        }
        content.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        model[path]?.bytes = content
    }

    func truncate(_ path: String, to size: Int) throws {
        guard let file = handles[path]?.file else { throw Errno.badFileDescriptor }
        try file.truncate(to: Int64(size))
        let content = model[path]?.bytes ?? []
        model[path]?.bytes = Array(content.prefix(size)) + [UInt8](repeating: 0, count: max(0, size - content.count))
    }

    func close(_ path: String) {
        guard let handle = handles.removeValue(forKey: path) else { return }
        cache.release(handle.file, forWriting: true)
    }

    /// Creates or replaces the whole content.
    func put(_ path: String, _ bytes: [UInt8]) throws {
        try open(path)
        defer { close(path) }
        try truncate(path, to: 0)
        if !bytes.isEmpty { try write(bytes, at: 0, through: path) }
    }

    func put(_ path: String, _ text: String) throws { try put(path, Array(text.utf8)) }

    func setPermissions(_ path: String, _ permissions: UInt16) throws {
        let now = time.wall
        try journal.write { transaction in
            guard var inode = try transaction.inode(at: path) else { throw Errno.noSuchFileOrDirectory }
            inode.permissions = permissions
            inode.changed = now
            if try transaction.isInBucketOrUnderWay(inode) { inode.pending.insert(.metadata) }
            try transaction.update(inode)
        }
        model[path]?.permissions = permissions
    }

    func remove(_ path: String) throws {
        let (parent, name) = try split(path)
        let number = try journal.write { try Self.remove(name, in: parent, $0) }
        if let number { cache.remove(number) }
        model[path] = nil
        // A handle stays usable; nothing of it is expected in the bucket.
        close(path)
    }

    private static func remove(
        _ name: FileName,
        in parent: InodeNumber,
        _ transaction: JournalTransaction
    ) throws -> InodeNumber? {
        guard let number = try transaction.child(name, of: parent), var inode = try transaction.inode(number) else {
            return nil
        }
        try transaction.unlink(name, in: parent)
        try transaction.buryRemote(of: inode)
        inode.linkCount = 0
        inode.remote = nil
        inode.attempt = nil
        try transaction.update(inode)
        return number
    }

    /// rename(2): replaces a file that has the new name.
    func rename(_ path: String, to newPath: String) throws {
        let (from, to) = (try split(path), try split(newPath))
        let gone = try journal.write { transaction -> InodeNumber? in
            guard let number = try transaction.child(from.name, of: from.parent) else {
                throw Errno.noSuchFileOrDirectory
            }
            let gone = try Self.remove(to.name, in: to.parent, transaction)
            try transaction.unlink(from.name, in: from.parent)
            try transaction.link(to.name, in: to.parent, to: number)
            _ = try transaction.markMoved(number)
            return gone
        }
        if let gone { cache.remove(gone) }
        close(newPath)
        model[newPath] = nil
        move { Self.moved($0, from: path, to: newPath) }
    }

    /// RENAME_EXCHANGE.
    func exchange(_ path: String, _ other: String) throws {
        let (one, two) = (try split(path), try split(other))
        try journal.write { transaction in
            guard let first = try transaction.child(one.name, of: one.parent),
                let second = try transaction.child(two.name, of: two.parent)
            else { throw Errno.noSuchFileOrDirectory }
            try transaction.link(one.name, in: one.parent, to: second)
            try transaction.link(two.name, in: two.parent, to: first)
            _ = try transaction.markMoved(first)
            _ = try transaction.markMoved(second)
        }
        move { Self.moved($0, from: path, to: other) ?? Self.moved($0, from: other, to: path) }
    }

    private func move(_ place: (String) -> String?) {
        model = Dictionary(uniqueKeysWithValues: model.map { (place($0.key) ?? $0.key, $0.value) })
        handles = Dictionary(uniqueKeysWithValues: handles.map { (place($0.key) ?? $0.key, $0.value) })
    }

    private static func moved(_ path: String, from: String, to: String) -> String? {
        guard path == from || path.hasPrefix(from + "/") else { return nil }
        return to + path.dropFirst(from.count)
    }

    /// Lets go of the local bytes of everything that is clean and closed.
    func evict() throws { try cache.flush() }
}

// MARK: Write-back

extension LocalMachine {
    @discardableResult
    func reconcile(_ path: String, isUrgent: Bool = false) async throws -> Reconciler.Outcome {
        guard let inode = try inode(path) else { return .done }
        return try await reconciler.reconcile(inode.number, isUrgent: isUrgent, progress: UploadProgress())
    }

    /// Everything that is pending, again and again until nothing is; false if it does not come to rest.
    func drain(rounds: Int = 40) async throws -> Bool {
        for _ in 0..<rounds {
            let pending = try journal.read { try $0.pendingInodes().map(\.number) }
            let tombstones = try journal.read { try $0.tombstones(after: nil, limit: 1000).map(\.key) }
            try await reconciler.dropAbandonedMultiparts()
            if pending.isEmpty && tombstones.isEmpty { return true }
            for number in pending {
                _ = try await reconciler.reconcile(number, isUrgent: true, progress: UploadProgress())
            }
            for key in tombstones { _ = try await reconciler.bury(key) }
        }
        return false
    }

    func events(_ kind: JournalEvent.Kind) throws -> [String] {
        try journal.read { try $0.events(kind).map { "\($0.path): \($0.message)" } }
    }

    /// What the bucket must hold: keys, bytes and permissions.
    var expectedObjects: [ObjectKey: Node] {
        Dictionary(
            uniqueKeysWithValues: model.map { path, node in
                (ObjectKey(node.kind == .directory ? path + "/" : path), node)
            }
        )
    }
}

extension MemoryStore {
    /// What the bucket holds, as a reader of the metadata sees it.
    var tree: [ObjectKey: LocalMachine.Node] {
        Dictionary(
            uniqueKeysWithValues: keys.map { key in
                let metadata = PosixMetadata(decoding: info(key)?.metadata ?? [:])
                return (
                    key,
                    LocalMachine.Node(
                        kind: metadata.kind ?? .file,
                        bytes: bytes(key) ?? [],
                        permissions: metadata.permissions ?? 0
                    )
                )
            }
        )
    }

    func text(_ key: String) -> String? { bytes(ObjectKey(key)).map { String(decoding: $0, as: UTF8.self) } }
}

extension CachedFile {
    func write(_ bytes: [UInt8], at offset: Int64) throws {
        _ = try write(at: offset, count: bytes.count) { descriptor, offset throws(Errno) in
            do {
                return try FileDescriptor(rawValue: descriptor).writeAll(toAbsoluteOffset: offset, bytes)
            } catch {
                throw error as? Errno ?? .ioError
            }
        }
    }
}

extension LocalMachine {
    /// A file in the root that a listing found.
    func insertRemote(_ name: String, etag: ETag, size: Int64) throws {
        try journal.write { transaction in
            let inode = try transaction.insertInode { number in
                var inode = Inode(
                    number: number,
                    kind: .file,
                    permissions: 0o644,
                    userID: 1,
                    groupID: 2,
                    time: time.wall
                )
                inode.size = size
                inode.remote = RemoteObject(key: ObjectKey(name), etag: etag, size: size)
                inode.isMetadataKnown = false
                return inode
            }
            guard let name = FileName(name) else { throw CacheError.corrupt(name) }
            try transaction.link(name, in: .root, to: inode.number)
        }
    }
}

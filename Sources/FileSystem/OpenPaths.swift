import Cache
import Logging
import Synchronization
import SystemPackage

/// Which way the bytes of each open file go: as requests to this process, or from the kernel straight to the data file.
///
/// An inode has one way as long as a program has it open: the kernel refuses to mix them. It is chosen for the first handle
/// and repeated for those that come before the last one is gone.
///
/// Thread rule: any thread. The lock of an inode is taken before those of the cache.
final class OpenPaths: Sendable {
    private struct Path {
        var handles = 0
        /// Nil: bytes go as requests.
        var backing: BackingNumber?
        /// Of the file when it was seen to have set-id bits, which the next write takes away.
        var setIDVersion: CachedFile.Version?
        /// The kernel may hold pages of it from before it was written past this process (readahead(2) makes some).
        var hasStalePages = false
    }

    /// Which way a handle goes.
    struct Choice {
        /// Nil: its bytes go as requests; else under which number the kernel knows the data file.
        var backing: BackingNumber?
        var keepsKernelCache = true
    }

    /// One of many locks: what an open may have to wait for, a sync of the disk, holds up few others.
    private final class Stripe: Sendable {
        let paths = Mutex<[InodeNumber: Path]>([:])
    }

    /// Bytes. Fewer are dropped in no time.
    private static let manyPages: Int64 = 1 << 20

    private let stripes = (0..<64).map { _ in Stripe() }
    private let cache: FileCache
    private let logger: Logger
    private let kernel = Mutex<(any KernelPassthrough)?>(nil)

    init(cache: FileCache, logger: Logger) {
        self.cache = cache
        self.logger = logger
    }

    func attach(_ passthrough: (any KernelPassthrough)?) {
        kernel.withLock { $0 = passthrough }
    }

    /// Nil where nothing can be registered anyway.
    private var availableKernel: (any KernelPassthrough)? {
        kernel.withLock { $0 }.flatMap { $0.isAvailable ? $0 : nil }
    }

    private func withPath<Value>(of inode: InodeNumber, _ body: (inout Path) throws -> Value) rethrows -> Value {
        try stripes[Int(inode.rawValue % 64)].paths.withLock { paths in
            var path = paths[inode] ?? Path()
            defer { paths[inode] = path.handles > 0 || path.hasStalePages ? path : nil }
            return try body(&path)
        }
    }

    /// One more handle. Throws ``CacheError`` if the way of the handles that are there cannot be gone by this one.
    func open(_ file: CachedFile, _ mode: OpenMode, permissions: UInt16) throws -> Choice {
        try withPath(of: file.inode) { path in
            if path.handles == 0 {
                path.backing = choose(file, mode, permissions)
            } else if path.backing != nil {
                try cache.handOver(file, for: mode.access)
                // O_SYNC: of what goes past this process the kernel syncs the bytes alone.
                if mode.isSuperset(of: [.write, .synchronous]) { try cache.synchronize(file) }
            }
            path.handles += 1
            guard let backing = path.backing else {
                // Somebody may store into a mapping all the time.
                defer { path.hasStalePages = file.isHandedOver }
                return Choice(keepsKernelCache: !path.hasStalePages && !file.isHandedOver)
            }
            if mode.contains(.write) {
                path.hasStalePages = true
                if permissions & 0o6000 != 0 { path.setIDVersion = file.version }
            }
            return Choice(backing: backing)
        }
    }

    /// The kernel knows the inode no more.
    func forget(_ inode: InodeNumber) {
        withPath(of: inode) { if $0.handles == 0 { $0.hasStalePages = false } }
    }

    private func choose(_ file: CachedFile, _ mode: OpenMode, _ permissions: UInt16) -> BackingNumber? {
        guard let kernel = availableKernel else { return nil }
        cache.settleMappings(of: file.inode)
        // Where somebody stores into a mapping, only who reads past this process as well sees that.
        let isWanted = file.isHandedOver || mode.mayPass(permissions, file) && cache.mayHandOver(file, for: mode.access)
        guard isWanted, let backing = kernel.register(file.descriptor) else { return nil }
        do {
            try cache.handOver(file, for: mode.access)
            return backing
        } catch {
            kernel.unregister(backing)
            logger.warning("bytes go as requests", metadata: ["ino": "\(file.inode)", "error": "\(error)"])
            return nil
        }
    }

    /// A handle is gone, before its reference to the file is given back. Returns whether the kernel holds many pages of the
    /// file that nobody will read: who opens it next goes past this process, to the pages of the data file. The kernel would
    /// drop them while that program waits.
    func close(_ file: CachedFile, _ mode: OpenMode) -> Bool {
        withPath(of: file.inode) { path in
            path.handles -= 1
            guard let backing = path.backing else {
                return path.handles == 0 && availableKernel != nil && file.status.size >= Self.manyPages
                    && file.isReadyForReaders
            }
            if path.handles == 0 { kernel.withLock { $0 }?.unregister(backing) }
            cache.handBack(file, mode.access)
            return false
        }
    }

    /// A file that goes past this process has got set-id bits.
    func noteSetID(of inode: InodeNumber) {
        withPath(of: inode) { path in
            if path.backing != nil { path.setIDVersion = cache.openFile(inode)?.version }
        }
    }

    /// Whether a file was written past this process since it was seen to have set-id bits. Told once.
    func wasWritten(sinceSetIDOf inode: InodeNumber) -> Bool {
        withPath(of: inode) { path in
            guard let version = path.setIDVersion, let now = cache.openFile(inode)?.version, now != version else {
                return false
            }
            path.setIDVersion = nil
            return true
        }
    }
}

extension OpenMode {
    fileprivate var access: FileAccess {
        isSuperset(of: [.read, .write]) ? .both : contains(.write) ? .writing : .reading
    }

    /// Whether the first handle of a file may go past this process. Not O_SYNC, which promises more than the kernel does by
    /// itself; nor O_DIRECT, which would be as particular as the disk below; and nobody would take set-id bits away in time.
    /// Files are opened to be read and written also by who only looks (sqlite3): one that has bytes would count as changed
    /// each time, and its upload begin anew.
    fileprivate func mayPass(_ permissions: UInt16, _ file: CachedFile) -> Bool {
        if contains(.direct) || access == .both && file.status.size > 0 { return false }
        return !contains(.write) || !contains(.synchronous) && permissions & 0o6000 == 0
    }
}

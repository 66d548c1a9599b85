import SystemPackage

/// Space on a disk, bytes.
public struct DiskSpace: Equatable, Sendable {
    public var total: Int64
    public var free: Int64
    /// Free for users without privileges.
    public var available: Int64

    public init(total: Int64, free: Int64, available: Int64) {
        self.total = total
        self.free = free
        self.available = available
    }
}

/// What `fstat` says of a file on a disk.
public struct DiskFileStatus: Equatable, Sendable {
    /// Bytes.
    public var size: Int64
    /// Bytes taken on the disk; less than the size for a sparse file.
    public var allocated: Int64
    public var modified: Timestamp

    public init(size: Int64, allocated: Int64, modified: Timestamp) {
        self.size = size
        self.allocated = allocated
        self.modified = modified
    }
}

/// An open file on a ``Disk``. Thread-safe as the system calls are; closed when the last reference goes.
public protocol DiskFile: AnyObject, Sendable {
    /// For splicing. Valid as long as the object lives.
    var descriptor: Int32 { get }
    /// Reads up to the buffer's size; less only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(Errno) -> Int
    /// Writes all of `bytes`.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(Errno)
    func truncate(to size: Int64) throws(Errno)
    /// fallocate(2). The range must not be empty. EOPNOTSUPP where the disk has no such operation.
    func allocate(_ range: Range<Int64>, _ allocation: Allocation) throws(Errno)
    /// Where data or a hole is, at `offset` or behind; ENXIO if there is no data any more, or `offset` is at the end.
    func seek(_ goal: SparseSeek, from offset: Int64) throws(Errno) -> Int64
    /// Brings the bytes of a range to the disk and waits for it; they survive no power cut before ``synchronize()``. A
    /// failure is told once, here or there, and means the same.
    func writeBack(_ range: Range<Int64>) throws(Errno)
    /// fdatasync. After it failed, the bytes in question are lost to the disk (the kernel drops failed pages): the
    /// caller must not take a later success for theirs.
    func synchronize() throws(Errno)
    func status() throws(Errno) -> DiskFileStatus
    func setModified(_ time: Timestamp) throws(Errno)
    /// Whether another open file or a mapping leads to it. Not to be asked while somebody may open it: for a moment that
    /// would wait, or fail where it must not.
    func isOpenElsewhere() throws(Errno) -> Bool
}

extension DiskFile {
    /// Up to `limit` bytes from the start of the file.
    public func contents(limit: Int) throws(Errno) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: limit, alignment: 8)
        defer { buffer.deallocate() }
        let count = try read(into: buffer, at: 0)
        return Array(buffer.prefix(count))
    }

    /// Writes all of `bytes`.
    public func write(_ bytes: [UInt8], at offset: Int64) throws(Errno) {
        var failure: Errno?
        bytes.withUnsafeBytes { buffer in
            do throws(Errno) { try write(buffer, at: offset) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

/// How ``Disk/open(_:_:)`` opens.
public enum DiskOpenMode: Sendable {
    case existing
    case createIfAbsent
    /// Empty, whatever was there.
    case truncated
}

/// A directory tree on the local disk, behind a protocol so that tests put faults and power cuts into it. Names are
/// relative paths of plain components.
public protocol Disk: Sendable {
    /// ``SystemPackage/Errno/structureNeedsCleaning`` for what is there and is no regular file of this user's alone.
    func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile
    /// No error if there is nothing of the name.
    func remove(_ name: String) throws(Errno)
    /// Replaces atomically what has the new name.
    func rename(_ name: String, to newName: String) throws(Errno)
    /// No error if it is there already. Mode 0700.
    func makeDirectory(_ name: String) throws(Errno)
    func names(in directory: String) throws(Errno) -> [String]
    /// Of a file that need not be opened for it; fails as ``open(_:_:)`` does.
    func status(of name: String) throws(Errno) -> DiskFileStatus
    /// Makes the names in a directory survive a power cut.
    func synchronizeDirectory(_ name: String) throws(Errno)
    /// Makes everything on the disk survive a power cut.
    func synchronizeAll() throws(Errno)
    func space() throws(Errno) -> DiskSpace
    /// Does work that waits for the disk, such as a sync, on a thread that may: those of Swift's tasks are as many as there
    /// are processors.
    func runAside(_ work: @escaping @Sendable () -> Void)
}

private let diskThreads = BlockingThreads(label: "sluice.disk", count: 16)

extension Disk {
    public func status(of name: String) throws(Errno) -> DiskFileStatus { try open(name, .existing).status() }

    public func runAside(_ work: @escaping @Sendable () -> Void) { diskThreads.run(work) }

    /// The same, for who waits for its outcome.
    public func aside<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            runAside { continuation.resume(with: Result(catching: work)) }
        }
    }
}

extension Errno {
    /// EUCLEAN: what is on the disk is not what has to be there.
    public static let structureNeedsCleaning = Errno(rawValue: 117)
}

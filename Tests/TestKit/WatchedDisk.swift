import Platform
import Synchronization
import SystemPackage

/// A real disk that tells of each sync of a data file, before it is made.
public final class WatchedDisk: ForwardingDisk {
    public let base: any Disk
    private let willSynchronize = Mutex<(@Sendable () throws(Errno) -> Void)?>(nil)
    private let counts = Mutex<[String: Int]>([:])
    private let written = Mutex<[Range<Int64>]>([])
    private let writtenBeforeAll = Mutex<[Range<Int64>]>([])
    private let directoryCounts = Mutex<[String: Int]>([:])

    public init(path: String) throws {
        base = try PosixDisk(path: path)
    }

    /// How many syncs of files were made.
    public var synchronizations: Int { counts.withLock { $0.values.reduce(0, +) } }

    /// How many syncs of one file were made.
    public func synchronizations(of name: String) -> Int { counts.withLock { $0[name] ?? 0 } }

    /// Bytes of data files that were brought to the disk ahead of a sync.
    public var writtenBack: [Range<Int64>] { written.withLock { $0 } }

    /// Of these, what was when the whole disk was last synced.
    public var writtenBackBeforeAll: [Range<Int64>] { writtenBeforeAll.withLock { $0 } }

    /// How many syncs of one directory were made.
    public func synchronizations(ofDirectory name: String) -> Int { directoryCounts.withLock { $0[name] ?? 0 } }

    /// Calls `body` in the middle of the next sync of a file, or of what is brought to the disk ahead of it, once; what it
    /// throws is what the sync says. As of the kernel, further syncs say nothing of it.
    public func duringNextSync(_ body: @escaping @Sendable () throws(Errno) -> Void) {
        willSynchronize.withLock { $0 = body }
    }

    fileprivate func synchronize(_ file: any DiskFile, _ name: String) throws(Errno) {
        try interrupt()
        try file.synchronize()
        counts.withLock { $0[name, default: 0] += 1 }
    }

    fileprivate func writeBack(_ file: any DiskFile, _ range: Range<Int64>) throws(Errno) {
        try interrupt()
        try file.writeBack(range)
        written.withLock { $0.append(range) }
    }

    private func interrupt() throws(Errno) {
        let body = willSynchronize.withLock { body in
            defer { body = nil }
            return body
        }
        try body?()
    }

    public func synchronizeAll() throws(Errno) {
        writtenBeforeAll.withLock { $0 = writtenBack }
        try base.synchronizeAll()
    }

    public func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile {
        WatchedFile(try base.open(name, mode), name, of: self)
    }

    public func synchronizeDirectory(_ name: String) throws(Errno) {
        try base.synchronizeDirectory(name)
        directoryCounts.withLock { $0[name, default: 0] += 1 }
    }
}

private final class WatchedFile: ForwardingFile {
    let base: any DiskFile
    private let name: String
    private let disk: WatchedDisk

    init(_ base: any DiskFile, _ name: String, of disk: WatchedDisk) {
        self.base = base
        self.name = name
        self.disk = disk
    }

    func writeBack(_ range: Range<Int64>) throws(Errno) { try disk.writeBack(base, range) }
    func synchronize() throws(Errno) { try disk.synchronize(base, name) }
}

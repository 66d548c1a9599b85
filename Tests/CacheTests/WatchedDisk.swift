import Platform
import Synchronization
import SystemPackage

/// A real disk that tells of each sync of a data file, before it is made.
final class WatchedDisk: Disk {
    private let disk: PosixDisk
    private let willSynchronize = Mutex<(@Sendable () throws(Errno) -> Void)?>(nil)
    private let counts = Mutex<[String: Int]>([:])
    private let directoryCounts = Mutex<[String: Int]>([:])

    init(path: String) throws {
        disk = try PosixDisk(path: path)
    }

    /// How many syncs of files were made.
    var synchronizations: Int { counts.withLock { $0.values.reduce(0, +) } }

    /// How many syncs of one file were made.
    func synchronizations(of name: String) -> Int { counts.withLock { $0[name] ?? 0 } }

    /// How many syncs of one directory were made.
    func synchronizations(ofDirectory name: String) -> Int { directoryCounts.withLock { $0[name] ?? 0 } }

    /// Calls `body` in the middle of the next sync of a file, once; what it throws is what the sync says. As of the kernel,
    /// further syncs say nothing of it.
    func duringNextSync(_ body: @escaping @Sendable () throws(Errno) -> Void) {
        willSynchronize.withLock { $0 = body }
    }

    fileprivate func synchronize(_ file: any DiskFile, _ name: String) throws(Errno) {
        let body = willSynchronize.withLock { body in
            defer { body = nil }
            return body
        }
        try body?()
        try file.synchronize()
        counts.withLock { $0[name, default: 0] += 1 }
    }

    func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile {
        WatchedFile(try disk.open(name, mode), name, of: self)
    }

    func remove(_ name: String) throws(Errno) { try disk.remove(name) }
    func rename(_ name: String, to newName: String) throws(Errno) { try disk.rename(name, to: newName) }
    func makeDirectory(_ name: String) throws(Errno) { try disk.makeDirectory(name) }
    func names(in directory: String) throws(Errno) -> [String] { try disk.names(in: directory) }

    func synchronizeDirectory(_ name: String) throws(Errno) {
        try disk.synchronizeDirectory(name)
        directoryCounts.withLock { $0[name, default: 0] += 1 }
    }

    func synchronizeAll() throws(Errno) { try disk.synchronizeAll() }
    func space() throws(Errno) -> DiskSpace { try disk.space() }
}

private final class WatchedFile: DiskFile {
    private let file: any DiskFile
    private let name: String
    private let disk: WatchedDisk

    init(_ file: any DiskFile, _ name: String, of disk: WatchedDisk) {
        self.file = file
        self.name = name
        self.disk = disk
    }

    var descriptor: Int32 { file.descriptor }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(Errno) -> Int {
        try file.read(into: buffer, at: offset)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(Errno) { try file.write(bytes, at: offset) }
    func truncate(to size: Int64) throws(Errno) { try file.truncate(to: size) }

    func allocate(_ range: Range<Int64>, _ allocation: Allocation) throws(Errno) {
        try file.allocate(range, allocation)
    }

    func seek(_ goal: SparseSeek, from offset: Int64) throws(Errno) -> Int64 { try file.seek(goal, from: offset) }
    func synchronize() throws(Errno) { try disk.synchronize(file, name) }
    func status() throws(Errno) -> DiskFileStatus { try file.status() }
    func setModified(_ time: Timestamp) throws(Errno) { try file.setModified(time) }
}

import Platform
import Synchronization
import SystemPackage

/// Another disk, of which some bytes cannot be read any more, as of a bad sector: neither they nor what would be written
/// into their place, until that was made a hole.
public final class UnreadableDisk: Disk {
    private let disk: any Disk
    private let bad = Mutex<[String: Range<Int64>]>([:])

    public init(_ disk: any Disk) {
        self.disk = disk
    }

    /// From now on, bytes of `range` of the file cannot be read.
    public func damage(_ range: Range<Int64>, of name: String) {
        bad.withLock { $0[name] = range }
    }

    fileprivate func check(_ range: Range<Int64>, of name: String) throws(Errno) {
        if bad.withLock({ $0[name]?.overlaps(range) }) == true { throw .ioError }
    }

    fileprivate func clear(_ range: Range<Int64>, of name: String) {
        bad.withLock { bad in
            if let found = bad[name], found.clamped(to: range) == found { bad[name] = nil }
        }
    }

    public func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile {
        UnreadableFile(try disk.open(name, mode), name, of: self)
    }

    public func remove(_ name: String) throws(Errno) { try disk.remove(name) }
    public func rename(_ name: String, to newName: String) throws(Errno) { try disk.rename(name, to: newName) }
    public func makeDirectory(_ name: String) throws(Errno) { try disk.makeDirectory(name) }
    public func names(in directory: String) throws(Errno) -> [String] { try disk.names(in: directory) }
    public func status(of name: String) throws(Errno) -> DiskFileStatus { try disk.status(of: name) }
    public func synchronizeDirectory(_ name: String) throws(Errno) { try disk.synchronizeDirectory(name) }
    public func synchronizeAll() throws(Errno) { try disk.synchronizeAll() }
    public func space() throws(Errno) -> DiskSpace { try disk.space() }
}

private final class UnreadableFile: DiskFile {
    private let file: any DiskFile
    private let name: String
    private let disk: UnreadableDisk

    init(_ file: any DiskFile, _ name: String, of disk: UnreadableDisk) {
        self.file = file
        self.name = name
        self.disk = disk
    }

    var descriptor: Int32 { file.descriptor }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(Errno) -> Int {
        try disk.check(offset..<offset + Int64(buffer.count), of: name)
        return try file.read(into: buffer, at: offset)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(Errno) {
        try disk.check(offset..<offset + Int64(bytes.count), of: name)
        try file.write(bytes, at: offset)
    }

    func allocate(_ range: Range<Int64>, _ allocation: Allocation) throws(Errno) {
        try file.allocate(range, allocation)
        if allocation == .punchHole { disk.clear(range, of: name) }
    }

    func truncate(to size: Int64) throws(Errno) { try file.truncate(to: size) }
    func seek(_ goal: SparseSeek, from offset: Int64) throws(Errno) -> Int64 { try file.seek(goal, from: offset) }
    func synchronize() throws(Errno) { try file.synchronize() }
    func status() throws(Errno) -> DiskFileStatus { try file.status() }
    func setModified(_ time: Timestamp) throws(Errno) { try file.setModified(time) }
}

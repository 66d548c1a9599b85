import Platform
import SystemPackage

/// A disk that passes on what it does not do itself.
public protocol ForwardingDisk: Disk {
    var base: any Disk { get }
}

extension ForwardingDisk {
    public func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile { try base.open(name, mode) }
    public func remove(_ name: String) throws(Errno) { try base.remove(name) }
    public func rename(_ name: String, to newName: String) throws(Errno) { try base.rename(name, to: newName) }
    public func makeDirectory(_ name: String) throws(Errno) { try base.makeDirectory(name) }
    public func names(in directory: String) throws(Errno) -> [String] { try base.names(in: directory) }
    public func status(of name: String) throws(Errno) -> DiskFileStatus { try base.status(of: name) }
    public func synchronizeDirectory(_ name: String) throws(Errno) { try base.synchronizeDirectory(name) }
    public func synchronizeAll() throws(Errno) { try base.synchronizeAll() }
    public func space() throws(Errno) -> DiskSpace { try base.space() }
    public func runAside(_ work: @escaping @Sendable () -> Void) { base.runAside(work) }
}

/// A file that passes on what it does not do itself.
public protocol ForwardingFile: DiskFile {
    var base: any DiskFile { get }
}

extension ForwardingFile {
    public var descriptor: Int32 { base.descriptor }

    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(Errno) -> Int {
        try base.read(into: buffer, at: offset)
    }

    public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(Errno) {
        try base.write(bytes, at: offset)
    }

    public func truncate(to size: Int64) throws(Errno) { try base.truncate(to: size) }

    public func allocate(_ range: Range<Int64>, _ allocation: Allocation) throws(Errno) {
        try base.allocate(range, allocation)
    }

    public func seek(_ goal: SparseSeek, from offset: Int64) throws(Errno) -> Int64 {
        try base.seek(goal, from: offset)
    }

    public func writeBack(_ range: Range<Int64>) throws(Errno) { try base.writeBack(range) }
    public func synchronize() throws(Errno) { try base.synchronize() }
    public func status() throws(Errno) -> DiskFileStatus { try base.status() }
    public func setModified(_ time: Timestamp) throws(Errno) { try base.setModified(time) }
    public func isOpenElsewhere() throws(Errno) -> Bool { try base.isOpenElsewhere() }
}

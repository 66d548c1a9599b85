import Platform
import Synchronization
import SystemPackage

/// Another disk, of which some bytes cannot be read any more, as of a bad sector: neither they nor what would be written
/// into their place, until that was made a hole.
public final class UnreadableDisk: ForwardingDisk {
    public let base: any Disk
    private let bad = Mutex<[String: Range<Int64>]>([:])

    public init(_ base: any Disk) {
        self.base = base
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
        UnreadableFile(try base.open(name, mode), name, of: self)
    }
}

private final class UnreadableFile: ForwardingFile {
    let base: any DiskFile
    private let name: String
    private let disk: UnreadableDisk

    init(_ base: any DiskFile, _ name: String, of disk: UnreadableDisk) {
        self.base = base
        self.name = name
        self.disk = disk
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(Errno) -> Int {
        try disk.check(offset..<offset + Int64(buffer.count), of: name)
        return try base.read(into: buffer, at: offset)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(Errno) {
        try disk.check(offset..<offset + Int64(bytes.count), of: name)
        try base.write(bytes, at: offset)
    }

    func allocate(_ range: Range<Int64>, _ allocation: Allocation) throws(Errno) {
        try base.allocate(range, allocation)
        if allocation == .punchHole { disk.clear(range, of: name) }
    }
}

import Platform
import Synchronization
import SystemPackage

/// Another disk, with a count of the files that are opened.
public final class CountingDisk: Disk {
    private let disk: any Disk
    private let count = Atomic(0)

    public init(_ disk: any Disk) {
        self.disk = disk
    }

    public var opens: Int { count.load(ordering: .relaxed) }

    public func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile {
        count.add(1, ordering: .relaxed)
        return try disk.open(name, mode)
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

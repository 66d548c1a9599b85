import Platform
import Synchronization
import SystemPackage

/// Another disk, with a count of the files that are opened.
public final class CountingDisk: ForwardingDisk {
    public let base: any Disk
    private let count = Atomic(0)

    public init(_ base: any Disk) {
        self.base = base
    }

    public var opens: Int { count.load(ordering: .relaxed) }

    public func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile {
        count.add(1, ordering: .relaxed)
        return try base.open(name, mode)
    }
}

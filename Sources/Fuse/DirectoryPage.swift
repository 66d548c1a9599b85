import CFuse
import Cache
import FileSystem

/// The answer to one readdir or readdirplus, in the kernel's layout.
struct DirectoryPage {
    private let request: KernelRequest
    private let memory: UnsafeMutableRawBufferPointer
    private let withAttributes: Bool
    private var count = 0
    /// Inodes of which the kernel gets a reference with this page.
    private(set) var references: [InodeNumber] = []

    init(request: KernelRequest, memory: UnsafeMutableRawBufferPointer, withAttributes: Bool) {
        self.request = request
        self.memory = memory
        self.withAttributes = withAttributes
    }

    var filled: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[..<count]) }

    /// False if there is no room: then nothing was added.
    mutating func append(_ entry: DirectoryEntry) -> Bool {
        let needed = withAttributes ? addWithAttributes(entry) : add(entry)
        guard needed <= memory.count - count else { return false }
        count += needed
        if withAttributes, let reference = entry.entry { references.append(reference.attributes.inode) }
        return true
    }

    /// The bytes that the entry takes; written only if they fit.
    private func add(_ entry: DirectoryEntry) -> Int {
        var status = Self.status(entry)
        return fuse_add_direntry(
            request.raw,
            free,
            memory.count - count,
            kernelString(entry.name),
            &status,
            Int(entry.nextOffset)
        )
    }

    /// An entry without attributes has the inode number 0 as node: the kernel then looks the name up when it is used.
    private func addWithAttributes(_ entry: DirectoryEntry) -> Int {
        var parameters = entry.entry.map { fuse_entry_param($0) } ?? fuse_entry_param()
        if entry.entry == nil { parameters.attr = Self.status(entry) }
        return fuse_add_direntry_plus(
            request.raw,
            free,
            memory.count - count,
            kernelString(entry.name),
            &parameters,
            Int(entry.nextOffset)
        )
    }

    private var free: UnsafeMutablePointer<CChar>? {
        memory.baseAddress.map { ($0 + count).assumingMemoryBound(to: CChar.self) }
    }

    /// Of which readdir sends number and kind; without a kind, DT_UNKNOWN.
    private static func status(_ entry: DirectoryEntry) -> stat {
        var status = stat()
        status.st_ino = UInt(entry.inode.rawValue)
        status.st_mode = entry.kind?.modeBits ?? 0
        return status
    }
}

import Platform
import SystemPackage

/// What POSIX says of files, in the simplest form that can be checked by reading: inodes, names, bytes and attributes
/// in dictionaries, errno as the Linux man pages name it. Knows no bucket, no cache and no time.
///
/// The caller is a privileged user but for set-id bits, which writing takes away as it does from everybody.
public struct ReferenceFileSystem: Equatable, Sendable {
    public enum Body: Equatable, Sendable {
        case file([UInt8])
        case directory([String: Int])
        case link(String)
        case socket
    }

    public struct Inode: Equatable, Sendable {
        public var body: Body
        public var permissions: Mode
        public var userID: UInt32
        public var groupID: UInt32
        public var links: Int
        /// Nil where any time is right: only times that a program set are promised.
        public var modified: Timestamp?
        public var attributes: [String: [UInt8]] = [:]
        /// Somebody else replaced or deleted what the bucket had of it: bytes that are not local are gone for good,
        /// and reading them is ESTALE.
        public var isLostElsewhere = false
    }

    struct Handle: Equatable, Sendable {
        var inode: Int
        var flags: OpenFlags
    }

    static let root = 0

    public internal(set) var inodes: [Int: Inode]
    var handles: [Int: Handle] = [:] {
        didSet {
            let both = handles.values.filter { $0.flags.isSuperset(of: [.read, .write]) }
            mayBeMapped = mayBeMapped.intersection(handles.values.map(\.inode)).union(both.map(\.inode))
        }
    }
    /// Inodes that were opened for reading and writing, until the last handle of any kind is closed.
    private(set) var mayBeMapped: Set<Int> = []
    var nextInode = 1
    /// Who makes files.
    let userID: UInt32
    let groupID: UInt32

    public init(userID: UInt32, groupID: UInt32) {
        self.userID = userID
        self.groupID = groupID
        inodes = [
            Self.root: Inode(body: .directory([:]), permissions: 0o755, userID: 0, groupID: 0, links: 2)
        ]
    }

    /// Carries out a call.
    public mutating func perform(_ call: FileSystemCall) -> CallOutcome {
        do throws(Errno) {
            return try outcome(of: call)
        } catch {
            return .failed(error)
        }
    }

    private mutating func outcome(of call: FileSystemCall) throws(Errno) -> CallOutcome {
        switch call {
        case .open(let slot, let path, let flags, let mode): try open(slot, path, flags, mode)
        case .close(let slot): try close(slot)
        case .write(let slot, let offset, let text): return .count(try write(slot, Array(text.utf8), at: offset))
        case .read(let slot, let offset, let count): return .bytes(try read(slot, at: offset, count: count))
        case .resize(let slot, let size): try resize(slot, to: size)
        case .allocate(let slot, let offset, let length, let allocation):
            try allocate(slot, offset..<offset + length, allocation)
        case .synchronize(let slot, _): _ = try handle(slot)
        case .status(let slot): return .status(try status(of: handle(slot).inode))
        case .truncate(let path, let size): try resizeFile(find(path), to: size)
        case .stat(let path): return .status(try status(of: find(path, follow: false)))
        case .makeDirectory(let path, let mode): try makeDirectory(path, mode)
        case .removeDirectory(let path): try removeDirectory(path)
        case .unlink(let path): try unlink(path)
        case .rename(let path, let newPath, let rule): try rename(path, to: newPath, rule)
        case .link(let path, let newPath): try link(path, to: newPath)
        case .makeSocket(let path, let mode): _ = try make(place(path), .socket, mode)
        case .symlink(let path, let target): try makeLink(path, to: target)
        case .readLink(let path): return .text(try readLink(path))
        case .chmod(let path, let mode): inodes[try find(path)]?.permissions = mode
        case .chown(let path, let user, let group): try chown(find(path, follow: false), user, group)
        case .setModified(let path, let seconds, let nanoseconds):
            inodes[try find(path, follow: false)]?.modified = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        case .setAttribute(let path, let name, let value, let rule):
            try setAttribute(name, to: Array(value.utf8), of: path, rule)
        case .attribute(let path, let name): return .bytes(try attribute(name, of: path))
        case .removeAttribute(let path, let name): try removeAttribute(name, of: path)
        case .attributeNames(let path): return .names(try attributeNames(of: path))
        case .list(let path): return .names(try entries(of: find(path)).keys.sorted())
        }
        return .done
    }
}

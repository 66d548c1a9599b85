import Cache
import Platform
import SystemPackage

/// Who makes a request.
public struct Caller: Equatable, Sendable {
    public var userID: UInt32
    public var groupID: UInt32
    public var processID: Int32
    /// Bits that a new file must not have.
    public var umask: UInt16

    public init(userID: UInt32, groupID: UInt32, processID: Int32, umask: UInt16) {
        self.userID = userID
        self.groupID = groupID
        self.processID = processID
        self.umask = umask
    }
}

/// The number of an open file or directory, as the kernel passes it back (`fh`).
public struct HandleNumber: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// How a file is opened: the flags of open(2) that concern the file system.
public struct OpenMode: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let read = OpenMode(rawValue: 1)
    public static let write = OpenMode(rawValue: 2)
    public static let truncate = OpenMode(rawValue: 4)
    public static let exclusive = OpenMode(rawValue: 8)
    public static let append = OpenMode(rawValue: 16)
    /// O_SYNC and O_DSYNC: every write is durable on the local disk before it returns.
    public static let synchronous = OpenMode(rawValue: 32)
    public static let direct = OpenMode(rawValue: 64)
}

/// An open file as the kernel is told of it.
public struct OpenedFile: Equatable, Sendable {
    public var handle: HandleNumber
    /// The pages that the kernel holds of the inode are still true.
    public var keepsKernelCache: Bool
    /// The kernel is to move its bytes by itself, to and from the data file of this number.
    public var backing: BackingNumber?

    public init(handle: HandleNumber, keepsKernelCache: Bool, backing: BackingNumber? = nil) {
        self.handle = handle
        self.keepsKernelCache = keepsKernelCache
        self.backing = backing
    }
}

/// Under which the kernel knows a data file that it moves bytes to and from by itself.
public struct BackingNumber: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }
}

/// Bytes of a local file, to be spliced to the reader. Fewer than asked for only at the end of the file.
public struct FileRegion: Sendable {
    /// Valid as long as `owner` lives.
    public var descriptor: Int32
    public var offset: Int64
    public var count: Int
    public var owner: any Sendable & AnyObject

    public init(descriptor: Int32, offset: Int64, count: Int, owner: any Sendable & AnyObject) {
        self.descriptor = descriptor
        self.offset = offset
        self.count = count
        self.owner = owner
    }
}

/// What a read found.
public enum FileBytes: Sendable {
    /// Bytes of a local file.
    case region(FileRegion)
    /// Bytes that are not kept on this machine.
    case memory([UInt8])
}

/// One name in a directory stream.
public struct DirectoryEntry: Sendable {
    public var name: String
    public var inode: InodeNumber
    /// Nil if it is not known without asking the store (`DT_UNKNOWN`).
    public var kind: InodeKind?
    /// Pass it as `offset` to go on behind this entry; over 0.
    public var nextOffset: Int64
    /// In a readdirplus answer: the entry, for which the kernel takes a reference. Nil for `.`, `..`, and where
    /// attributes are not known without asking the store.
    public var entry: Entry?

    public init(name: String, inode: InodeNumber, kind: InodeKind?, nextOffset: Int64, entry: Entry?) {
        self.name = name
        self.inode = inode
        self.kind = kind
        self.nextOffset = nextOffset
        self.entry = entry
    }
}

/// `statfs`, in units of `blockSize` bytes.
public struct FileSystemStatistics: Equatable, Sendable {
    public var blockSize: UInt32
    public var blocks: UInt64
    public var freeBlocks: UInt64
    public var availableBlocks: UInt64
    public var files: UInt64
    public var freeFiles: UInt64
    public var maximumNameLength: UInt32

    public init(
        blockSize: UInt32, blocks: UInt64, freeBlocks: UInt64, availableBlocks: UInt64, files: UInt64,
        freeFiles: UInt64, maximumNameLength: UInt32
    ) {
        self.blockSize = blockSize
        self.blocks = blocks
        self.freeBlocks = freeBlocks
        self.availableBlocks = availableBlocks
        self.files = files
        self.freeFiles = freeFiles
        self.maximumNameLength = maximumNameLength
    }
}

public struct RenameFlags: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// RENAME_NOREPLACE of renameat2(2).
    public static let noReplace = RenameFlags(rawValue: 1)
    /// RENAME_EXCHANGE.
    public static let exchange = RenameFlags(rawValue: 2)
}

/// XATTR_CREATE and XATTR_REPLACE of setxattr(2).
public enum ExtendedAttributeMode: Sendable {
    case createOrReplace
    case create
    case replace
}

/// An operation whose answer waits for the network, or for space.
public protocol PendingOperation: Sendable {
    /// The caller was interrupted: the operation answers soon, with EINTR if it is not done. Safe to call at any
    /// time, from any thread, any number of times.
    func interrupt()
}

/// Receives an answer: exactly once, on the calling thread before the operation returns, or later on any thread.
public typealias Reply<Value> = @Sendable (Result<Value, Errno>) -> Void

/// What the kernel caches of the file system and must be told to drop when the bucket changes behind its back.
///
/// Never called while a lock is held that an operation takes (the kernel may wait for operations under way).
public protocol KernelCache: Sendable {
    /// Pages and attributes of an inode.
    func invalidate(_ inode: InodeNumber)
    /// A name in a directory.
    func invalidate(_ name: FileName, in directory: InodeNumber)
}

/// Moves bytes of open files between programs and data files without a request for each. Thread-safe; returns at once.
public protocol KernelPassthrough: Sendable {
    /// False if nothing can be registered anyway.
    var isAvailable: Bool { get }
    /// Makes an open data file known to the kernel; nil if that cannot be.
    func register(_ descriptor: Int32) -> BackingNumber?
    /// No handle is opened with it any more.
    func unregister(_ backing: BackingNumber)
}

/// The file system as the kernel drives it: one method for each request, thread-safe, called on request threads.
///
/// Methods that throw are local: they take local disk time and never network time. Methods with a reply may have to
/// ask the store; what they can answer at once they answer before they return nil; else they return the pending
/// operation, and the reply comes within a bounded time whatever the network does.
public protocol FileSystemOperations: Sendable {
    /// Finds a name. The kernel keeps a reference to the inode in a successful answer. ENOENT answers may be cached
    /// by the kernel for ``negativeTimeToLive(in:)``.
    func lookup(_ name: FileName, in parent: InodeNumber, reply: @escaping Reply<Entry>) -> (any PendingOperation)?
    /// The kernel gives back `count` references.
    func forget(_ inode: InodeNumber, count: UInt64)
    /// How long the kernel may remember that a name does not exist in a directory.
    func negativeTimeToLive(in directory: InodeNumber) -> Duration

    /// Answers when the attributes are known that only the object has, which a listing does not tell; after some seconds
    /// in any case. To be waited for before a change of attributes, a further name, and a look at extended attributes.
    /// `name`: of the one extended attribute that it is about; nil: all attributes.
    func awaitAttributes(
        of inode: InodeNumber, forExtended name: String?, reply: @escaping Reply<Void>
    ) -> (any PendingOperation)?
    /// Attributes and how long the kernel may keep them.
    func attributes(of inode: InodeNumber) throws(Errno) -> (FileAttributes, timeToLive: Duration)
    func setAttributes(
        of inode: InodeNumber, _ change: AttributeChange, caller: Caller
    ) throws(Errno) -> (FileAttributes, timeToLive: Duration)

    func readSymbolicLink(_ inode: InodeNumber, reply: @escaping Reply<String>) -> (any PendingOperation)?
    func makeSymbolicLink(
        _ name: FileName, in parent: InodeNumber, target: String, caller: Caller
    ) throws(Errno) -> Entry
    func makeDirectory(
        _ name: FileName, in parent: InodeNumber, permissions: UInt16, caller: Caller
    ) throws(Errno) -> Entry
    /// mknod(2): a regular file, which is not opened, a pipe, a socket or a device. `device`: `st_rdev` of a device.
    func makeNode(
        _ name: FileName, in parent: InodeNumber, kind: InodeKind, device: UInt64, permissions: UInt16, caller: Caller
    ) throws(Errno) -> Entry
    /// link(2): a further name of an inode.
    func makeHardLink(_ name: FileName, in parent: InodeNumber, to inode: InodeNumber) throws(Errno) -> Entry
    func unlink(_ name: FileName, in parent: InodeNumber) throws(Errno)
    func removeDirectory(
        _ name: FileName, in parent: InodeNumber, reply: @escaping Reply<Void>
    ) -> (any PendingOperation)?
    func rename(
        _ name: FileName, in parent: InodeNumber, to newName: FileName, in newParent: InodeNumber,
        flags: RenameFlags, reply: @escaping Reply<Void>
    ) -> (any PendingOperation)?

    func create(
        _ name: FileName, in parent: InodeNumber, permissions: UInt16, mode: OpenMode, caller: Caller
    ) throws(Errno) -> (Entry, OpenedFile)
    func open(_ inode: InodeNumber, mode: OpenMode, reply: @escaping Reply<OpenedFile>) -> (any PendingOperation)?
    /// `count` bytes at `offset`, or fewer at the end of the file.
    func read(
        _ handle: HandleNumber, offset: Int64, count: Int, reply: @escaping Reply<FileBytes>
    ) -> (any PendingOperation)?
    /// `transfer` moves the bytes of the request into the descriptor at the offset and returns how many it moved; it is
    /// called at most once, before the method returns, and where it fails it has taken none of them. Returns the count
    /// of bytes written; nil if there is no room now: the bytes are to be given to
    /// ``writeWhenRoom(_:offset:_:reply:)``.
    func write(
        _ handle: HandleNumber, offset: Int64, count: Int,
        transfer: (_ descriptor: Int32, _ offset: Int64) throws(Errno) -> Int
    ) throws(Errno) -> Int?
    /// Writes as soon as there is room. The reply, with the count of bytes written, may take as long as others make
    /// progress; ENOSPC. The same holds for ``allocate(_:offset:length:_:reply:)`` and ``copy(from:at:to:at:count:reply:)``.
    func writeWhenRoom(
        _ handle: HandleNumber, offset: Int64, _ bytes: [UInt8], reply: @escaping Reply<Int>
    ) -> (any PendingOperation)?
    /// fallocate(2). EOPNOTSUPP where the local disk cannot do it.
    func allocate(
        _ handle: HandleNumber, offset: Int64, length: Int64, _ allocation: Allocation, reply: @escaping Reply<Void>
    ) -> (any PendingOperation)?
    /// Where data or a hole is, at `offset` or behind; ENXIO from the end of the file on (lseek(2)).
    func seek(_ handle: HandleNumber, _ goal: SparseSeek, from offset: Int64) throws(Errno) -> Int64
    /// copy_file_range(2): the count of bytes copied, which may be fewer than asked for; 0 at the end of the source.
    /// EOPNOTSUPP if bytes of the source are not local: they are to be read and written.
    func copy(
        from source: HandleNumber, at sourceOffset: Int64, to target: HandleNumber, at targetOffset: Int64, count: Int,
        reply: @escaping Reply<Int>
    ) -> (any PendingOperation)?
    func synchronize(_ handle: HandleNumber, dataOnly: Bool) throws(Errno)
    func release(_ handle: HandleNumber)

    func openDirectory(
        _ inode: InodeNumber, reply: @escaping Reply<HandleNumber>
    ) -> (any PendingOperation)?
    /// Answers when there is something to read behind `offset`, or nothing more will come: before that,
    /// ``readDirectory(_:offset:withAttributes:emit:)`` may find nothing although the directory has more names.
    func awaitEntries(_ handle: HandleNumber, offset: Int64, reply: @escaping Reply<Void>) -> (any PendingOperation)?
    /// Gives the entries behind `offset` (0: from the first) to `emit` until it returns false, which means that the
    /// entry did not fit and was not taken. With `withAttributes`, each entry taken that carries an ``Entry`` is a
    /// reference of the kernel.
    func readDirectory(
        _ handle: HandleNumber, offset: Int64, withAttributes: Bool, emit: (DirectoryEntry) -> Bool
    ) throws(Errno)
    /// Prepares what is likely to be read next, while who reads is busy with what it was given.
    func readAhead(inDirectory handle: HandleNumber)
    func synchronizeDirectory(_ handle: HandleNumber) throws(Errno)
    func releaseDirectory(_ handle: HandleNumber)

    func statistics() throws(Errno) -> FileSystemStatistics

    func setExtendedAttribute(
        _ name: String, to value: [UInt8], of inode: InodeNumber, mode: ExtendedAttributeMode
    ) throws(Errno)
    func extendedAttribute(_ name: String, of inode: InodeNumber) throws(Errno) -> [UInt8]
    func extendedAttributeNames(of inode: InodeNumber) throws(Errno) -> [String]
    func removeExtendedAttribute(_ name: String, of inode: InodeNumber) throws(Errno)
}

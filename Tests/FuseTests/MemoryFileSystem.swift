import CLinux
import Cache
import FileSystem
import Glibc
import Platform
import Synchronization
import SystemPackage

@testable import Fuse

/// A small file system for driving the FUSE layer: names in memory, bytes in one unlinked file for each inode. It
/// counts what the kernel refers to, and can hold answers back.
final class MemoryFileSystem: FileSystemOperations, Sendable {
    final class Backing: Sendable {
        let descriptor: Int32

        init() {
            var path = Array("/var/tmp/sluice-test-XXXXXX".utf8CString)
            descriptor = mkstemp(&path)
            Glibc.unlink(path)
        }

        deinit { close(descriptor) }
    }

    struct Inode {
        var attributes: FileAttributes
        var backing: Backing?
        var target = ""
        var children: [String: InodeNumber] = [:]
        var extendedAttributes: [String: [UInt8]] = [:]
        var lookups: UInt64 = 0
    }

    struct State {
        var inodes: [InodeNumber: Inode] = [:]
        var nextInode: UInt64 = 2
        var handles: [UInt64: InodeNumber] = [:]
        var nextHandle: UInt64 = 1
        var calls: [String] = []
        /// Names whose lookups, and files whose reads, wait for ``MemoryFileSystem/release(_:)``.
        var held: Set<String> = []
        var waiting: [Held] = []
        /// The answer to fallocate, lseek and copy_file_range.
        var refusal: Errno?
        /// Writes have to wait until one that is held is released.
        var isFull = false
    }

    let state = Mutex(State())
    private let negativeTimeToLive: Duration
    let timeToLive: Duration

    init(timeToLive: Duration = .seconds(60), negativeTimeToLive: Duration = .zero) {
        self.timeToLive = timeToLive
        self.negativeTimeToLive = negativeTimeToLive
        state.withLock { state in
            var root = Self.makeInode(.root, .directory, 0o755)
            root.lookups = 1
            state.inodes[.root] = root
        }
    }

    func negativeTimeToLive(in directory: InodeNumber) -> Duration { negativeTimeToLive }

    static func makeInode(_ number: InodeNumber, _ kind: InodeKind, _ permissions: UInt16) -> Inode {
        let now = SystemTime().wall
        let attributes = FileAttributes(
            inode: number,
            kind: kind,
            permissions: permissions,
            linkCount: kind == .directory ? 2 : 1,
            userID: geteuid(),
            groupID: getegid(),
            size: 0,
            accessed: now,
            modified: now,
            changed: now
        )
        return Inode(attributes: attributes, backing: kind == .file ? Backing() : nil)
    }

    func note(_ call: String) { state.withLock { $0.calls.append(call) } }
    var calls: [String] { state.withLock { $0.calls } }
    /// References of the kernel, without the root's.
    var references: [InodeNumber: UInt64] {
        state.withLock { $0.inodes.filter { $0.key != .root && $0.value.lookups > 0 }.mapValues(\.lookups) }
    }
    var openHandles: Int { state.withLock { $0.handles.count } }

    // MARK: Names

    func lookup(_ name: FileName, in parent: InodeNumber, reply: @escaping Reply<Entry>) -> (any PendingOperation)? {
        hold(name.string, { self.find(name, in: parent) }, reply)
    }

    private func find(_ name: FileName, in parent: InodeNumber) -> Result<Entry, Errno> {
        state.withLock { state in
            guard let number = state.inodes[parent]?.children[name.string] else {
                return .failure(.noSuchFileOrDirectory)
            }
            return .success(Self.refer(to: number, &state, timeToLive))
        }
    }

    private static func refer(to number: InodeNumber, _ state: inout State, _ timeToLive: Duration) -> Entry {
        state.inodes[number]?.lookups += 1
        let attributes = state.inodes[number]?.attributes ?? makeInode(number, .file, 0).attributes
        return Entry(attributes: attributes, timeToLive: timeToLive)
    }

    func forget(_ inode: InodeNumber, count: UInt64) {
        state.withLock { state in
            precondition(state.inodes[inode]?.lookups ?? 0 >= count, "forgotten more often than looked up")
            state.inodes[inode]?.lookups -= count
        }
    }

    private func make(
        _ name: FileName,
        in parent: InodeNumber,
        _ kind: InodeKind,
        _ permissions: UInt16,
        _ caller: Caller,
        target: String = ""
    ) throws(Errno) -> Entry {
        try state.withLock { state throws(Errno) in
            guard state.inodes[parent]?.children[name.string] == nil else { throw .fileExists }
            let number = InodeNumber(rawValue: state.nextInode)
            state.nextInode += 1
            var inode = Self.makeInode(number, kind, permissions)
            inode.attributes.userID = caller.userID
            inode.attributes.groupID = caller.groupID
            inode.target = target
            inode.attributes.size = Int64(target.utf8.count)
            state.inodes[number] = inode
            state.inodes[parent]?.children[name.string] = number
            return Self.refer(to: number, &state, timeToLive)
        }
    }

    func readSymbolicLink(_ inode: InodeNumber, reply: @escaping Reply<String>) -> (any PendingOperation)? {
        reply(.success(state.withLock { $0.inodes[inode]?.target ?? "" }))
        return nil
    }

    func makeSymbolicLink(
        _ name: FileName,
        in parent: InodeNumber,
        target: String,
        caller: Caller
    ) throws(Errno) -> Entry {
        try make(name, in: parent, .symbolicLink, 0o777, caller, target: target)
    }

    func makeDirectory(
        _ name: FileName,
        in parent: InodeNumber,
        permissions: UInt16,
        caller: Caller
    ) throws(Errno) -> Entry {
        try make(name, in: parent, .directory, permissions, caller)
    }

    func makeNode(
        _ name: FileName,
        in parent: InodeNumber,
        kind: InodeKind,
        device: UInt64,
        permissions: UInt16,
        caller: Caller
    ) throws(Errno) -> Entry {
        let entry = try make(name, in: parent, kind, permissions, caller)
        return state.withLock { state in
            state.inodes[entry.attributes.inode]?.attributes.device = device
            return Entry(
                attributes: state.inodes[entry.attributes.inode]?.attributes ?? entry.attributes,
                timeToLive: timeToLive
            )
        }
    }

    func makeHardLink(_ name: FileName, in parent: InodeNumber, to inode: InodeNumber) throws(Errno) -> Entry {
        try state.withLock { state throws(Errno) in
            guard state.inodes[parent]?.children[name.string] == nil else { throw .fileExists }
            state.inodes[parent]?.children[name.string] = inode
            state.inodes[inode]?.attributes.linkCount += 1
            return Self.refer(to: inode, &state, timeToLive)
        }
    }

    func unlink(_ name: FileName, in parent: InodeNumber) throws(Errno) {
        try state.withLock { state throws(Errno) in
            guard let number = state.inodes[parent]?.children.removeValue(forKey: name.string) else {
                throw .noSuchFileOrDirectory
            }
            state.inodes[number]?.attributes.linkCount -= 1
        }
    }

    func removeDirectory(
        _ name: FileName,
        in parent: InodeNumber,
        reply: @escaping Reply<Void>
    ) -> (any PendingOperation)? {
        reply(
            state.withLock { state in
                guard let number = state.inodes[parent]?.children[name.string] else {
                    return .failure(.noSuchFileOrDirectory)
                }
                guard state.inodes[number]?.children.isEmpty == true else { return .failure(.directoryNotEmpty) }
                state.inodes[parent]?.children[name.string] = nil
                return .success(())
            }
        )
        return nil
    }

    func rename(
        _ name: FileName,
        in parent: InodeNumber,
        to newName: FileName,
        in newParent: InodeNumber,
        flags: RenameFlags,
        reply: @escaping Reply<Void>
    ) -> (any PendingOperation)? {
        note("rename \(name) \(newName) \(flags.rawValue)")
        reply(
            state.withLock { state in
                let target = state.inodes[newParent]?.children[newName.string]
                if flags.contains(.noReplace), target != nil { return .failure(.fileExists) }
                let moved = state.inodes[parent]?.children.removeValue(forKey: name.string)
                state.inodes[newParent]?.children[newName.string] = moved
                if flags.contains(.exchange) { state.inodes[parent]?.children[name.string] = target }
                return .success(())
            }
        )
        return nil
    }

    // MARK: Attributes

    func attributes(of inode: InodeNumber) throws(Errno) -> (FileAttributes, timeToLive: Duration) {
        guard let attributes = state.withLock({ $0.inodes[inode]?.attributes }) else { throw .noSuchFileOrDirectory }
        return (attributes, timeToLive)
    }

    func setAttributes(
        of inode: InodeNumber,
        _ change: AttributeChange,
        caller: Caller
    ) throws(Errno) -> (FileAttributes, timeToLive: Duration) {
        state.withLock { state in
            guard var entry = state.inodes[inode] else { return }
            if let size = change.size, let backing = entry.backing {
                ftruncate(backing.descriptor, Int(size))
                entry.attributes.size = size
            }
            if let permissions = change.permissions { entry.attributes.permissions = permissions }
            if let user = change.userID { entry.attributes.userID = user }
            if let group = change.groupID { entry.attributes.groupID = group }
            if case .at(let time) = change.modified { entry.attributes.modified = time }
            if case .now = change.modified { entry.attributes.modified = SystemTime().wall }
            if case .at(let time) = change.accessed { entry.attributes.accessed = time }
            state.inodes[inode] = entry
        }
        return try attributes(of: inode)
    }

    func statistics() throws(Errno) -> FileSystemStatistics {
        FileSystemStatistics(
            blockSize: 4096,
            blocks: 1000,
            freeBlocks: 600,
            availableBlocks: 500,
            files: 77,
            freeFiles: 33,
            maximumNameLength: 255
        )
    }

    // MARK: Data

    private func openHandle(_ inode: InodeNumber) -> HandleNumber {
        state.withLock { state in
            defer { state.nextHandle += 1 }
            state.handles[state.nextHandle] = inode
            return HandleNumber(rawValue: state.nextHandle)
        }
    }

    func create(
        _ name: FileName,
        in parent: InodeNumber,
        permissions: UInt16,
        mode: OpenMode,
        caller: Caller
    ) throws(Errno) -> (Entry, OpenedFile) {
        note("create \(name) umask \(String(caller.umask, radix: 8))")
        let entry = try make(name, in: parent, .file, permissions, caller)
        return (entry, OpenedFile(handle: openHandle(entry.attributes.inode), keepsKernelCache: true))
    }

    func open(_ inode: InodeNumber, mode: OpenMode, reply: @escaping Reply<OpenedFile>) -> (any PendingOperation)? {
        note("open \(mode.rawValue)")
        if mode.contains(.truncate) {
            state.withLock { state in
                if let backing = state.inodes[inode]?.backing { ftruncate(backing.descriptor, 0) }
                state.inodes[inode]?.attributes.size = 0
            }
        }
        reply(.success(OpenedFile(handle: openHandle(inode), keepsKernelCache: true)))
        return nil
    }

    func read(
        _ handle: HandleNumber,
        offset: Int64,
        count: Int,
        reply: @escaping Reply<FileBytes>
    ) -> (any PendingOperation)? {
        let (inode, number) = inode(of: handle)
        guard let inode, let backing = inode.backing else {
            reply(.failure(.badFileDescriptor))
            return nil
        }
        let available = max(0, min(count, Int(inode.attributes.size - offset)))
        let region = FileRegion(
            descriptor: backing.descriptor,
            offset: offset,
            count: available,
            owner: backing
        )
        return hold("read \(number.rawValue)", { .success(.region(region)) }, reply)
    }

    private func inode(of handle: HandleNumber) -> (Inode?, InodeNumber) {
        state.withLock { state in
            let number = state.handles[handle.rawValue] ?? InodeNumber(rawValue: 0)
            return (state.inodes[number], number)
        }
    }

    func write(
        _ handle: HandleNumber,
        offset: Int64,
        count: Int,
        transfer: (_ descriptor: Int32, _ offset: Int64) throws(Errno) -> Int
    ) throws(Errno) -> Int? {
        if state.withLock({ $0.isFull }) { return nil }
        let (inode, number) = inode(of: handle)
        guard let backing = inode?.backing else { throw .badFileDescriptor }
        let written = try transfer(backing.descriptor, offset)
        state.withLock { state in
            guard let size = state.inodes[number]?.attributes.size else { return }
            state.inodes[number]?.attributes.size = max(size, offset + Int64(written))
        }
        return written
    }

    func writeWhenRoom(
        _ handle: HandleNumber,
        offset: Int64,
        _ bytes: [UInt8],
        reply: @escaping Reply<Int>
    ) -> (any PendingOperation)? {
        note("write when there is room \(offset) \(bytes.count)")
        return hold(
            "write",
            { [self] in
                state.withLock { $0.isFull = false }
                return Result { () throws(Errno) in
                    try write(handle, offset: offset, count: bytes.count) { descriptor, offset throws(Errno) in
                        try writeBytes(bytes[...], to: descriptor, at: offset)
                    } ?? 0
                }
            },
            reply
        )
    }

    func allocate(
        _ handle: HandleNumber,
        offset: Int64,
        length: Int64,
        _ allocation: Allocation,
        reply: @escaping Reply<Void>
    ) -> (any PendingOperation)? {
        note("fallocate \(offset) \(length) \(allocation)")
        reply(Result { () throws(Errno) in try allocateNow(handle, offset..<offset + length, allocation) })
        return nil
    }

    private func allocateNow(
        _ handle: HandleNumber, _ range: Range<Int64>, _ allocation: Allocation
    ) throws(Errno) {
        if let refusal = state.withLock({ $0.refusal }) { throw refusal }
        let (inode, number) = inode(of: handle)
        guard let backing = inode?.backing else { throw .badFileDescriptor }
        let file = PosixDiskFile(owning: dup(backing.descriptor))
        try file.allocate(range, allocation)
        let size = try file.status().size
        state.withLock { $0.inodes[number]?.attributes.size = size }
    }

    func seek(_ handle: HandleNumber, _ goal: SparseSeek, from offset: Int64) throws(Errno) -> Int64 {
        note("lseek \(goal) \(offset)")
        if let refusal = state.withLock({ $0.refusal }) { throw refusal }
        guard let backing = inode(of: handle).0?.backing else { throw .badFileDescriptor }
        return try PosixDiskFile(owning: dup(backing.descriptor)).seek(goal, from: offset)
    }

    func copy(
        from source: HandleNumber,
        at sourceOffset: Int64,
        to target: HandleNumber,
        at targetOffset: Int64,
        count: Int,
        reply: @escaping Reply<Int>
    ) -> (any PendingOperation)? {
        note("copy_file_range \(sourceOffset) \(targetOffset) \(count)")
        reply(
            Result { () throws(Errno) in
                if let refusal = state.withLock({ $0.refusal }) { throw refusal }
                guard let backing = inode(of: source).0?.backing else { throw .badFileDescriptor }
                return try write(target, offset: targetOffset, count: count) { descriptor, offset throws(Errno) in
                    try copyRange(of: backing.descriptor, at: sourceOffset, to: descriptor, at: offset, count: count)
                } ?? 0
            })
        return nil
    }

    func synchronize(_ handle: HandleNumber, dataOnly: Bool) throws(Errno) {
        note("fsync \(dataOnly)")
        if let backing = inode(of: handle).0?.backing { fdatasync(backing.descriptor) }
    }

    func release(_ handle: HandleNumber) {
        note("release")
        state.withLock { _ = $0.handles.removeValue(forKey: handle.rawValue) }
    }

    // MARK: Directories

    func openDirectory(
        _ inode: InodeNumber,
        reply: @escaping Reply<HandleNumber>
    ) -> (any PendingOperation)? {
        reply(.success(openHandle(inode)))
        return nil
    }

    func awaitAttributes(
        of inode: InodeNumber,
        forExtended name: String?,
        reply: @escaping Reply<Void>
    ) -> (any PendingOperation)? {
        reply(.success(()))
        return nil
    }

    func awaitEntries(
        _ handle: HandleNumber,
        offset: Int64,
        reply: @escaping Reply<Void>
    ) -> (any PendingOperation)? {
        reply(.success(()))
        return nil
    }

    func readAhead(inDirectory handle: HandleNumber) {}

    func readDirectory(
        _ handle: HandleNumber,
        offset: Int64,
        withAttributes: Bool,
        emit: (DirectoryEntry) -> Bool
    ) throws(Errno) {
        note(withAttributes ? "readdirplus" : "readdir")
        let (directory, _) = inode(of: handle)
        let names = [".", ".."] + (directory?.children.keys.sorted() ?? [])
        for (index, name) in names.enumerated().dropFirst(Int(offset)) {
            let number = directory?.children[name]
            let inode = number.flatMap { number in state.withLock { $0.inodes[number] } }
            var entry = DirectoryEntry(
                name: name,
                inode: number ?? .root,
                kind: inode?.attributes.kind ?? .directory,
                nextOffset: Int64(index + 1),
                entry: nil
            )
            if name.hasPrefix("unknown") { entry.kind = nil }
            if withAttributes, let inode, !name.hasPrefix("unknown") {
                entry.entry = Entry(attributes: inode.attributes, timeToLive: timeToLive)
            }
            guard emit(entry) else { return }
            if entry.entry != nil, let number { state.withLock { $0.inodes[number]?.lookups += 1 } }
        }
    }

    func synchronizeDirectory(_ handle: HandleNumber) throws(Errno) { note("fsyncdir") }

    func releaseDirectory(_ handle: HandleNumber) {
        state.withLock { _ = $0.handles.removeValue(forKey: handle.rawValue) }
    }

    // MARK: Extended attributes

    func setExtendedAttribute(
        _ name: String,
        to value: [UInt8],
        of inode: InodeNumber,
        mode: ExtendedAttributeMode
    ) throws(Errno) {
        try state.withLock { state throws(Errno) in
            let exists = state.inodes[inode]?.extendedAttributes[name] != nil
            if mode == .create, exists { throw .fileExists }
            if mode == .replace, !exists { throw .noData }
            state.inodes[inode]?.extendedAttributes[name] = value
        }
    }

    func extendedAttribute(_ name: String, of inode: InodeNumber) throws(Errno) -> [UInt8] {
        note("getxattr \(name)")
        guard let value = state.withLock({ $0.inodes[inode]?.extendedAttributes[name] }) else { throw .noData }
        return value
    }

    func extendedAttributeNames(of inode: InodeNumber) throws(Errno) -> [String] {
        state.withLock { $0.inodes[inode]?.extendedAttributes.keys.sorted() ?? [] }
    }

    func removeExtendedAttribute(_ name: String, of inode: InodeNumber) throws(Errno) {
        try state.withLock { state throws(Errno) in
            guard state.inodes[inode]?.extendedAttributes.removeValue(forKey: name) != nil else { throw .noData }
        }
    }
}

extension MemoryFileSystem {
    /// An answer that waits: the network that the test plays.
    final class Held: PendingOperation, Sendable {
        private let finish: @Sendable (Errno?) -> Void
        private let isDone = Mutex(false)

        init(_ finish: @escaping @Sendable (Errno?) -> Void) { self.finish = finish }

        func interrupt() { complete(.interrupted) }

        func complete(_ error: Errno?) {
            let first = isDone.withLock { isDone in
                defer { isDone = true }
                return !isDone
            }
            if first { finish(error) }
        }
    }

    /// From now on answers for `what` wait: a name that is looked up, or `read INODE`.
    func hold(_ what: String) { state.withLock { _ = $0.held.insert(what) } }

    var waitingCount: Int { state.withLock { $0.waiting.count } }

    /// Gives the answers that wait.
    func letGo(with error: Errno? = nil) {
        let waiting = state.withLock { state in
            defer {
                state.waiting = []
                state.held = []
            }
            return state.waiting
        }
        for held in waiting { held.complete(error) }
    }

    fileprivate func hold<Value>(
        _ what: String,
        _ value: @escaping @Sendable () -> Result<Value, Errno>,
        _ reply: @escaping Reply<Value>
    ) -> (any PendingOperation)? {
        let held = state.withLock { state -> Held? in
            guard state.held.contains(what) else { return nil }
            let held = Held { error in reply(error.map { .failure($0) } ?? value()) }
            state.waiting.append(held)
            return held
        }
        if held == nil { reply(value()) }
        return held
    }
}

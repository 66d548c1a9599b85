import Cache
import ObjectStore
import Platform

/// What files get that carry no metadata of Sluice or of other tools.
public struct RemoteDefaults: Equatable, Sendable {
    public var filePermissions: UInt16
    public var directoryPermissions: UInt16
    public var userID: UInt32
    public var groupID: UInt32

    public init(filePermissions: UInt16, directoryPermissions: UInt16, userID: UInt32, groupID: UInt32) {
        self.filePermissions = filePermissions
        self.directoryPermissions = directoryPermissions
        self.userID = userID
        self.groupID = groupID
    }
}

/// Brings the names of one directory up to what the bucket says, page by page, inside journal transactions.
///
/// Local changes win: what is pending, what was uploaded after the listing began, and what waits to be deleted or
/// moved is left alone. A version of a file that is new gets a new inode, so that readers of the former keep it.
struct ListingMerge {
    let directory: InodeNumber
    /// Of the keys in the directory: its path and a slash; empty for the root.
    let prefix: String
    /// ``Journal/nextSequence()`` when the listing began.
    let start: Int64
    let defaults: RemoteDefaults
    /// For directories, of which listings tell no time.
    let time: Timestamp
    /// The directory was listed before: new names are news to the kernel.
    let wasListed: Bool
    /// What a program may still write here keeps its name: the conflict is found when it is sent.
    let isOpenForWriting: @Sendable (InodeNumber) -> Bool
    private(set) var seen: Set<FileName> = []
    private(set) var changes: [BucketChange] = []
    /// Keys that no path can name.
    private(set) var unnameable = 0
    /// See ``attemptedKeys(in:)``.
    private var attempted: Set<ObjectKey>?

    init(
        directory: InodeNumber, prefix: String, start: Int64, defaults: RemoteDefaults, time: Timestamp,
        wasListed: Bool, isOpenForWriting: @escaping @Sendable (InodeNumber) -> Bool
    ) {
        self.isOpenForWriting = isOpenForWriting
        self.time = time
        self.wasListed = wasListed
        self.directory = directory
        self.prefix = prefix
        self.start = start
        self.defaults = defaults
    }

    /// Returns the changes since the last call.
    mutating func takeChanges() -> [BucketChange] {
        defer { changes = [] }
        return changes
    }

    mutating func apply(_ page: ListPage, in transaction: JournalTransaction) throws {
        attempted = nil
        for object in page.objects {
            if object.key.string == prefix {
                try mergeMarker(object, in: transaction)
            } else if let name = rest(of: object.key.string).flatMap(FileName.init(_:)) {
                try mergeFile(name, object, in: transaction)
            } else {
                unnameable += 1
            }
        }
        for common in page.commonPrefixes {
            if common.utf8.last == UInt8(ascii: "/"),
                let name = rest(of: String(Substring(common.utf8.dropLast()))).flatMap(FileName.init(_:))
            {
                try mergeDirectory(name, in: transaction)
            } else {
                unnameable += 1
            }
        }
    }

    /// What stands behind the prefix, byte by byte: a mark that joins its slash belongs to the name. Nil for a key that
    /// is elsewhere, which no store was asked for.
    private func rest(of key: String) -> String? {
        guard key.utf8.starts(with: prefix.utf8) else { return nil }
        return String(Substring(key.utf8.dropFirst(prefix.utf8.count)))
    }

    /// After the last page: names that the bucket no longer has go.
    mutating func finish(in transaction: JournalTransaction) throws {
        try settle(try transaction.children(of: directory), in: transaction)
        try transaction.setListed(directory, at: time)
    }

    /// Of names that the pages so far would have had: those that the bucket no longer has go.
    mutating func settle(_ children: [Dentry], in transaction: JournalTransaction) throws {
        for child in children where !seen.contains(child.name) {
            guard try isGone(child, in: transaction) else { continue }
            for number in try transaction.subtree(of: child.inode.number).reversed() {
                try removeName(of: number, in: transaction)
            }
        }
        for child in children where seen.contains(child.name) { try uncover(child, in: transaction) }
    }
}

// MARK: Single entries

extension ListingMerge {
    private mutating func mergeMarker(_ object: ObjectInfo, in transaction: JournalTransaction) throws {
        guard var inode = try transaction.inode(directory), inode.pending.isEmpty, inode.remoteSequence <= start,
            inode.remote?.etag != object.etag, directory != .root
        else { return }
        inode.remote = RemoteObject(key: object.key, etag: object.etag, size: object.size)
        inode.isMetadataKnown = false
        try transaction.update(inode)
    }

    private mutating func mergeFile(
        _ name: FileName, _ object: ObjectInfo, in transaction: JournalTransaction
    ) throws {
        guard let number = try transaction.child(name, of: directory), let existing = try transaction.inode(number)
        else {
            seen.insert(name)
            guard try isSpokenFor(object.key, in: transaction) else {
                return try insert(name, object, in: transaction)
            }
            return try keepCovered(name, object, in: transaction)
        }
        guard existing.kind != .directory else { return try mergeCovered(name, object, in: transaction) }
        seen.insert(name)
        try replace(existing, named: name, by: object, in: transaction)
    }

    private mutating func replace(
        _ existing: Inode, named name: FileName, by object: ObjectInfo, in transaction: JournalTransaction
    ) throws {
        let isSame = existing.remote.map { $0.etag == object.etag && $0.key == object.key } ?? false
        guard !isSame, isUnchanged(existing) else { return }
        try removeName(of: existing.number, in: transaction)
        try insert(name, object, in: transaction)
    }

    private mutating func mergeDirectory(_ name: FileName, in transaction: JournalTransaction) throws {
        let hasObject = !seen.insert(name).inserted
        let existing = try transaction.child(name, of: directory).flatMap { try transaction.inode($0) }
        if let existing {
            guard existing.kind != .directory, isUnchanged(existing) else { return }
        }
        // What is below may be on its way out, deleted or moved here: then the directory does not come back.
        let keys = prefix + name.string + "/"
        if try transaction.hasTombstones(withPrefix: keys) || transaction.hasRemoteKeys(withPrefix: keys)
            || transaction.hasDeparted(withPrefix: keys, since: start)
            || attemptedKeys(in: transaction).contains(where: { $0.hasPrefix(keys) })
        {
            return
        }
        if let existing {
            if hasObject {
                try cover(existing, name, in: transaction)
            } else {
                try removeName(of: existing.number, in: transaction)
            }
        }
        let inode = try transaction.insertInode { number in
            var inode = Inode(
                number: number, kind: .directory, permissions: defaults.directoryPermissions,
                userID: defaults.userID, groupID: defaults.groupID, time: time)
            // There may be a marker object with attributes.
            inode.isMetadataKnown = false
            return inode
        }
        try link(name, to: inode.number, in: transaction)
    }

    private mutating func insert(_ name: FileName, _ object: ObjectInfo, in transaction: JournalTransaction) throws {
        let inode = try transaction.insertInode { number in
            var inode = Inode(
                number: number, kind: .file, permissions: defaults.filePermissions, userID: defaults.userID,
                groupID: defaults.groupID, time: object.lastModified)
            inode.size = object.size
            inode.remote = RemoteObject(key: object.key, etag: object.etag, size: object.size)
            inode.isMetadataKnown = false
            inode.remoteSequence = start
            return inode
        }
        try link(name, to: inode.number, in: transaction)
    }

    private mutating func link(_ name: FileName, to number: InodeNumber, in transaction: JournalTransaction) throws {
        try transaction.link(name, in: directory, to: number)
        if wasListed { changes.append(.name(name, in: directory)) }
    }

    /// Whether an object is that of a file which was deleted or moved here, and the bucket does not know yet.
    private mutating func isSpokenFor(_ key: ObjectKey, in transaction: JournalTransaction) throws -> Bool {
        // An upload may have made it whose file was renamed meanwhile.
        if try attemptedKeys(in: transaction).contains(key) { return true }
        if try transaction.tombstone(at: key) != nil || transaction.hasDeparted(key, since: start) { return true }
        return try transaction.inodes(withRemoteKey: key).contains { $0.linkCount > 0 }
    }

    /// Asked for once a page, and only if the page has news.
    private mutating func attemptedKeys(in transaction: JournalTransaction) throws -> Set<ObjectKey> {
        if let attempted { return attempted }
        let keys = try transaction.attemptedKeys()
        attempted = keys
        return keys
    }

    /// Whether nothing of an inode changed here since the listing began, and nothing is about to.
    private func isUnchanged(_ inode: Inode) -> Bool {
        inode.pending.isEmpty && inode.remoteSequence <= start && !isOpenForWriting(inode.aliasOf ?? inode.number)
    }

    /// Whether a name that the listing did not have is to go: its objects were deleted by somebody else.
    private func isGone(_ child: Dentry, in transaction: JournalTransaction) throws -> Bool {
        try transaction.subtree(of: child.inode.number).allSatisfy { number in
            guard let inode = try transaction.inode(number) else { return false }
            guard isUnchanged(inode) else { return false }
            guard let key = inode.remote?.key else { return inode.kind == .directory }
            return try key == transaction.key(of: inode)
        }
    }

    private mutating func removeName(of number: InodeNumber, in transaction: JournalTransaction) throws {
        guard let inode = try transaction.inode(number), let (parent, name) = try transaction.name(of: number) else {
            return
        }
        changes.append(.name(name, in: parent))
        if let gone = try transaction.forgetName(name, in: parent, leadingTo: inode, at: time) {
            changes.append(.removed(gone))
        } else {
            changes.append(.attributes(inode.aliasOf ?? number))
        }
    }
}

// MARK: Objects that directories cover

extension ListingMerge {
    /// The bucket has both `a` and `a/…`: the directory takes the name.
    private mutating func cover(_ inode: Inode, _ name: FileName, in transaction: JournalTransaction) throws {
        guard let covered = name.covered, try transaction.child(covered, of: directory) == nil else {
            unnameable += 1
            return try removeName(of: inode.number, in: transaction)
        }
        seen.insert(covered)
        try rename(inode.number, from: name, to: covered, in: transaction)
    }

    /// An object whose name a directory has already.
    private mutating func mergeCovered(
        _ name: FileName, _ object: ObjectInfo, in transaction: JournalTransaction
    ) throws {
        guard let covered = name.covered else {
            unnameable += 1
            return
        }
        guard let number = try transaction.child(covered, of: directory), let existing = try transaction.inode(number)
        else {
            if try isSpokenFor(object.key, in: transaction) { return }
            seen.insert(covered)
            return try insert(covered, object, in: transaction)
        }
        // Another object has that very key: it goes first.
        guard existing.remote?.key == object.key else {
            unnameable += 1
            return
        }
        seen.insert(covered)
        try replace(existing, named: covered, by: object, in: transaction)
    }

    /// A directory that covered an object is gone, and the object has still the name of then.
    private mutating func keepCovered(
        _ name: FileName, _ object: ObjectInfo, in transaction: JournalTransaction
    ) throws {
        guard let covered = name.covered, let number = try transaction.child(covered, of: directory),
            try transaction.inode(number)?.remote?.key == object.key
        else { return }
        seen.insert(covered)
    }

    private mutating func uncover(_ child: Dentry, in transaction: JournalTransaction) throws {
        guard let name = child.name.uncovered, child.inode.remote?.key == ObjectKey(prefix + name.string),
            try transaction.inode(child.inode.number)?.pending == [],
            try transaction.child(name, of: directory) == nil
        else { return }
        try rename(child.inode.number, from: child.name, to: name, in: transaction)
    }

    private mutating func rename(
        _ number: InodeNumber, from name: FileName, to newName: FileName, in transaction: JournalTransaction
    ) throws {
        try transaction.unlink(name, in: directory)
        try transaction.link(newName, in: directory, to: number)
        changes += [.name(name, in: directory), .name(newName, in: directory)]
    }
}

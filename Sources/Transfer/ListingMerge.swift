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
    /// The same moment by the monotonic clock.
    let begunAt: Duration
    let defaults: RemoteDefaults
    /// For directories, of which listings tell no time.
    let time: Timestamp
    /// The directory was listed before: new names are news to the kernel.
    let wasListed: Bool
    /// What a program may still write here keeps its name: the conflict is found when it is sent.
    let isOpenForWriting: @Sendable (InodeNumber) -> Bool
    /// The newest inode when the listing began: what has a higher number is not older than it.
    let newest: InodeNumber
    private(set) var changes: [BucketChange] = []
    private(set) var added: [Dentry] = []
    private(set) var news: [InodeNumber] = []
    /// Keys that no path can name.
    private(set) var unnameable = 0
    private var seen = SeenNames()
    /// Names of covered objects that may have their own back.
    private var covered: [FileName] = []
    private var hasMarker = false
    private var page = PageSurroundings()
    /// The last name that ``finish(in:)`` looked at.
    private var swept: String?

    /// Names that are looked at in one transaction.
    static let sweepLength = 4096

    init(
        directory: InodeNumber, prefix: String, start: Int64, begunAt: Duration, defaults: RemoteDefaults,
        time: Timestamp, wasListed: Bool, newest: InodeNumber,
        isOpenForWriting: @escaping @Sendable (InodeNumber) -> Bool
    ) {
        self.isOpenForWriting = isOpenForWriting
        self.newest = newest
        self.time = time
        self.wasListed = wasListed
        self.directory = directory
        self.prefix = prefix
        self.start = start
        self.begunAt = begunAt
        self.defaults = defaults
    }

    /// Returns the changes since the last call.
    mutating func takeChanges() -> [BucketChange] {
        defer { changes = [] }
        return changes
    }

    /// Returns the names that were added to a directory that was never listed, since the last call.
    mutating func takeAdded() -> [Dentry] {
        defer { added = [] }
        return added
    }

    /// Returns the inodes that came up in a directory which was listed before, since the last call.
    mutating func takeNews() -> [InodeNumber] {
        defer { news = [] }
        return news
    }

    mutating func apply(_ listed: ListPage, in transaction: JournalTransaction) throws {
        let objects = listed.objects.map { ($0, $0.key.string == prefix ? nil : name(ofKey: $0.key.string)) }
        let directories = listed.commonPrefixes.map { name(ofPrefix: $0) }
        page = PageSurroundings()
        page.present = try presentNames(objects.compactMap(\.1) + directories.compactMap { $0 }, in: transaction)
        page.keys = listed.objects.map(\.key)
        for (object, name) in objects {
            if let name {
                try mergeFile(name, object, in: transaction)
            } else if object.key.string == prefix {
                try mergeMarker(object, in: transaction)
            } else {
                unnameable += 1
            }
        }
        for name in directories {
            if let name { try mergeDirectory(name, in: transaction) } else { unnameable += 1 }
        }
    }

    private func presentNames(_ names: [FileName], in transaction: JournalTransaction) throws -> Set<FileName> {
        guard let first = names.min(), let last = names.max() else { return [] }
        return try transaction.names(of: directory, from: first, through: last)
    }

    private func name(ofKey key: String) -> FileName? { rest(of: key).flatMap(FileName.init(_:)) }

    private func name(ofPrefix common: String) -> FileName? {
        guard common.utf8.last == UInt8(ascii: "/") else { return nil }
        return name(ofKey: String(Substring(common.utf8.dropLast())))
    }

    /// What stands behind the prefix, byte by byte: a mark that joins its slash belongs to the name. Nil for a key that
    /// is elsewhere, which no store was asked for.
    private func rest(of key: String) -> String? {
        guard key.utf8.starts(with: prefix.utf8) else { return nil }
        return String(Substring(key.utf8.dropFirst(prefix.utf8.count)))
    }

    /// After the last page, until it returns true: names that the bucket no longer has go, some at a time.
    mutating func finish(in transaction: JournalTransaction) throws -> Bool {
        let names = try transaction.names(of: directory, after: swept, limit: Self.sweepLength)
        try settle(names.elements, in: transaction)
        swept = names.next
        guard swept == nil else { return false }
        try uncoverAll(in: transaction)
        if !hasMarker { try knowAttributes(in: transaction) }
        try transaction.setListed(directory, at: begunAt)
        return true
    }

    /// Of names that the pages so far would have had: those that the bucket no longer has go.
    mutating func settle(_ names: [(name: FileName, inode: InodeNumber)], in transaction: JournalTransaction) throws {
        for (name, number) in names where number.rawValue <= newest.rawValue {
            if seen.contains(name) {
                if name.uncovered != nil { covered.append(name) }
            } else if let inode = try transaction.inode(number), try isGone(inode, in: transaction) {
                for number in try transaction.subtree(of: number).reversed() {
                    try removeName(of: number, in: transaction)
                }
            }
        }
    }

    /// After ``settle(_:in:)``: covered objects that no directory covers any more have their names back.
    mutating func uncoverAll(in transaction: JournalTransaction) throws {
        for name in covered { try uncover(name, in: transaction) }
    }
}

/// What a page of a listing meets in the journal, asked for once.
private struct PageSurroundings {
    /// Names of the directory that the page may have as well.
    var present: Set<FileName> = []
    /// Of the page.
    var keys: [ObjectKey] = []
    /// Nil until it is needed: a page without news asks for neither.
    var attempted: Set<ObjectKey>?
    var taken: Set<ObjectKey>?
}

/// Names that a listing has shown, by their hashes: of a million, two have the same one with a probability of 1 to 30
/// million, and then one that is gone may stay until the next listing.
private struct SeenNames {
    private var hashes: Set<Int> = []

    mutating func insert(_ name: FileName) { hashes.insert(name.hashValue) }

    func contains(_ name: FileName) -> Bool { hashes.contains(name.hashValue) }
}

// MARK: Single entries

extension ListingMerge {
    private mutating func mergeMarker(_ object: ObjectInfo, in transaction: JournalTransaction) throws {
        hasMarker = true
        guard var inode = try transaction.inode(directory), inode.pending.isEmpty, inode.remoteSequence <= start,
            inode.remote?.etag != object.etag, directory != .root
        else { return }
        inode.remote = RemoteObject(key: object.key, etag: object.etag, size: object.size)
        inode.isMetadataKnown = false
        try transaction.update(inode)
    }

    /// A directory without a marker object has no attributes in the bucket.
    private func knowAttributes(in transaction: JournalTransaction) throws {
        guard var inode = try transaction.inode(directory), !inode.isMetadataKnown, inode.remote == nil else { return }
        inode.isMetadataKnown = true
        try transaction.update(inode)
    }

    private func child(_ name: FileName, in transaction: JournalTransaction) throws -> Inode? {
        guard page.present.contains(name) else { return nil }
        return try transaction.child(name, of: directory).flatMap { try transaction.inode($0) }
    }

    private mutating func mergeFile(
        _ name: FileName, _ object: ObjectInfo, in transaction: JournalTransaction
    ) throws {
        guard let existing = try child(name, in: transaction) else {
            guard try isSpokenFor(object.key, in: transaction) else {
                return try insert(name, object, in: transaction)
            }
            seen.insert(name)
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
        try insert(name, object, in: transaction, isNews: false)
    }

    private mutating func mergeDirectory(_ name: FileName, in transaction: JournalTransaction) throws {
        let existing = try child(name, in: transaction)
        let hasObject = existing.map { $0.remoteSequence == start || seen.contains(name) } ?? false
        seen.insert(name)
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
            inode.remoteSequence = start
            return inode
        }
        try link(name, to: inode, in: transaction, isNews: existing == nil)
    }

    /// `isNews`: no other version had the name before.
    private mutating func insert(
        _ name: FileName, _ object: ObjectInfo, in transaction: JournalTransaction, isNews: Bool = true
    ) throws {
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
        try link(name, to: inode, in: transaction, isNews: isNews)
    }

    private mutating func link(
        _ name: FileName, to inode: Inode, in transaction: JournalTransaction, isNews: Bool
    ) throws {
        try transaction.link(name, in: directory, to: inode.number)
        page.present.insert(name)
        if wasListed {
            changes.append(.name(name, in: directory))
            news.append(inode.number)
        } else if isNews {
            added.append(Dentry(name: name, inode: inode))
        }
    }

    /// Whether an object is that of a file which was deleted or moved here, and the bucket does not know yet.
    private mutating func isSpokenFor(_ key: ObjectKey, in transaction: JournalTransaction) throws -> Bool {
        // An upload may have made it whose file was renamed meanwhile.
        if try attemptedKeys(in: transaction).contains(key) { return true }
        return try takenKeys(in: transaction).contains(key) || transaction.hasDeparted(key, since: start)
    }

    private mutating func attemptedKeys(in transaction: JournalTransaction) throws -> Set<ObjectKey> {
        if let attempted = page.attempted { return attempted }
        let keys = try transaction.attemptedKeys()
        page.attempted = keys
        return keys
    }

    private mutating func takenKeys(in transaction: JournalTransaction) throws -> Set<ObjectKey> {
        if let taken = page.taken { return taken }
        guard let first = page.keys.min(), let last = page.keys.max() else { return [] }
        let keys = try transaction.takenKeys(from: first, through: last)
        page.taken = keys
        return keys
    }

    /// Whether nothing of an inode changed here since the listing began, and nothing is about to.
    private func isUnchanged(_ inode: Inode) -> Bool {
        inode.pending.isEmpty && inode.remoteSequence <= start && !isOpenForWriting(inode.aliasOf ?? inode.number)
    }

    /// Whether a name that the listing did not have is to go: its objects were deleted by somebody else.
    private func isGone(_ inode: Inode, in transaction: JournalTransaction) throws -> Bool {
        try transaction.subtree(of: inode.number).allSatisfy { number in
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
        keep(covered)
        try rename(inode.number, from: name, to: covered, in: transaction)
        if !wasListed { added.append(Dentry(name: covered, inode: inode)) }
    }

    private mutating func keep(_ covered: FileName) {
        seen.insert(covered)
        self.covered.append(covered)
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
            keep(covered)
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

    private mutating func uncover(_ covered: FileName, in transaction: JournalTransaction) throws {
        guard let name = covered.uncovered, let number = try transaction.child(covered, of: directory),
            let inode = try transaction.inode(number), inode.remote?.key == ObjectKey(prefix + name.string),
            inode.pending == [], try transaction.child(name, of: directory) == nil
        else { return }
        try rename(number, from: covered, to: name, in: transaction)
    }

    private mutating func rename(
        _ number: InodeNumber, from name: FileName, to newName: FileName, in transaction: JournalTransaction
    ) throws {
        try transaction.unlink(name, in: directory)
        try transaction.link(newName, in: directory, to: number)
        page.present.insert(newName)
        changes += [.name(name, in: directory), .name(newName, in: directory)]
    }
}

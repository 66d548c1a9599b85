import Cache
import ObjectStore
import Platform

// What write-back reads from and writes into the journal: each method is part of one transaction of its caller.

// MARK: Plans

extension JournalTransaction {
    /// How many inodes one may wait for behind another, before a wait is no longer looked through.
    private static let longestChain = 64

    /// Nil if there is no such inode any more.
    func writebackSnapshot(of number: InodeNumber) throws -> WritebackPlan.Snapshot? {
        guard let inode = try inode(number) else { return nil }
        guard inode.linkCount > 0, let key = try key(of: inode) else { return WritebackPlan.Snapshot(inode: inode) }
        let occupant = try occupant(of: key, besides: number)
        return WritebackPlan.Snapshot(
            inode: inode,
            key: key,
            target: inode.aliasOf == nil ? nil : try target(of: inode),
            tombstone: try tombstone(at: key),
            occupant: occupant,
            isInCircle: try occupant.map { try leads($0, to: number) } ?? false
        )
    }

    /// An inode with a name whose object is at `key`.
    func occupant(of key: ObjectKey, besides number: InodeNumber) throws -> InodeNumber? {
        try inodes(withRemoteKey: key).first { $0.number != number && $0.linkCount > 0 }?.number
    }

    private func leads(_ start: InodeNumber, to number: InodeNumber) throws -> Bool {
        var current = start
        for _ in 0..<Self.longestChain {
            guard let inode = try inode(current), let key = try key(of: inode),
                let next = try occupant(of: key, besides: current)
            else { return false }
            if next == number { return true }
            current = next
        }
        return false
    }
}

// MARK: Objects to delete

extension JournalTransaction {
    /// Records that the objects of an inode that lost its last name are to be deleted: the one it is known to be and
    /// the one an unfinished upload may have made. To be called in the transaction that removes the name, before that.
    ///
    /// A directory without a marker may be there all the same: stores that are file systems underneath (SeaweedFS) show
    /// one that became empty until its key is deleted.
    public func buryRemote(of inode: Inode) throws {
        if inode.kind == .directory, inode.remote == nil, let key = try key(of: inode) { try bury(key) }
        if let remote = inode.remote { try bury(remote.key, etag: remote.etag) }
        if let attempt = inode.attempt { try bury(attempt.key, token: attempt.token) }
    }

    /// Adds what is known now to what is known already of an object to delete.
    func bury(_ key: ObjectKey, etag: ETag? = nil, token: String? = nil) throws {
        var tombstone = try tombstone(at: key) ?? Tombstone(key: key, etag: nil, token: nil)
        tombstone.etag = etag ?? tombstone.etag
        if let token { tombstone.add(token) }
        try setTombstone(tombstone)
    }

    /// What keeps a tombstone's object from being deleted now.
    enum TombstoneHold: Equatable {
        /// A file of the same name will replace the object, or a pending move still reads it.
        case awaits(InodeNumber)
        /// A directory's marker goes last: stores that are file systems underneath (SeaweedFS) keep a directory whose
        /// marker was deleted while objects were below it, for ever.
        case awaitsContents
        /// The object belongs to a file: there is nothing to delete.
        case obsolete
    }

    func hold(on tombstone: Tombstone) throws -> TombstoneHold? {
        if let owner = try inodes(withRemoteKey: tombstone.key).first(where: { $0.linkCount > 0 }) {
            return try key(of: owner) == tombstone.key && owner.pending.isEmpty ? .obsolete : .awaits(owner.number)
        }
        if let heir = try inode(at: tombstone.key.string), try key(of: heir) == tombstone.key,
            !heir.pending.isDisjoint(with: [.content, .location])
        {
            return .awaits(heir.number)
        }
        return try hasObjects(below: tombstone.key) ? .awaitsContents : nil
    }

    /// Whether a key is a directory's marker with objects below it, as far as is known.
    private func hasObjects(below key: ObjectKey) throws -> Bool {
        guard key.string.hasSuffix("/") else { return false }
        let next = try tombstones(after: key, limit: 1).first?.key
        return try next?.hasPrefix(key.string) == true || hasRemoteKeys(withPrefix: key.string)
    }
}

extension Tombstone {
    /// Uploads of so many files to one key may have an unknown outcome; of more, the oldest is forgotten.
    private static let tokenLimit = 16

    private var tokens: [Substring] { token?.split(separator: " ") ?? [] }

    fileprivate mutating func add(_ new: String) {
        let kept = tokens.filter { $0 != new }.suffix(Self.tokenLimit - 1)
        token = (kept + [new[...]]).joined(separator: " ")
    }

    /// Whether an object with this token was made by one of the uploads.
    func covers(_ token: String?) -> Bool {
        token.map { tokens.contains($0[...]) } ?? false
    }
}

// MARK: Attempts

/// A write to the bucket that is about to be made, as the journal remembers it.
struct WriteAttempt: Sendable {
    let inode: Inode
    let key: ObjectKey
    let token: String
    /// The row's attributes when it was begun.
    let attributes: PosixMetadata
}

extension JournalTransaction {
    /// Journals that an object is about to be written at `key` for an inode; nil if that is not its key any more.
    ///
    /// One token serves all tries until the outcome is known: whichever of them takes effect, the object is known as
    /// ours. An upload in parts that is still open has its token already. `hasAllBytes`: every byte of the file is local
    /// and durable.
    func beginAttempt(
        of number: InodeNumber,
        at key: ObjectKey,
        newToken: String,
        hasAllBytes: Bool
    ) throws -> WriteAttempt? {
        guard var inode = try inode(number), inode.linkCount > 0, try self.key(of: inode) == key else { return nil }
        let before = inode
        if hasAllBytes, inode.local == .partial { inode.local = .complete }
        if let former = inode.attempt, former.key != key { try bury(former.key, token: former.token) }
        if inode.attempt?.key != key {
            let open = try multipart(of: number).flatMap { $0.key == key ? $0.token : nil }
            inode.attempt = Inode.Attempt(key: key, token: open ?? newToken)
        }
        if inode != before { try update(inode) }
        return WriteAttempt(
            inode: inode,
            key: key,
            token: inode.attempt?.token ?? newToken,
            attributes: try posixMetadata(of: inode)
        )
    }

    func posixMetadata(of row: Inode) throws -> PosixMetadata {
        let inode = try target(of: row)
        return PosixMetadata(inode, extendedAttributes: try extendedAttributes(of: inode.number))
    }

    /// Another inode whose unfinished upload made the object with this token.
    func inode(attempting key: ObjectKey, token: String) throws -> Inode? {
        try pendingInodes().first { $0.attempt == Inode.Attempt(key: key, token: token) }
    }
}

// MARK: Outcomes

/// A write to the bucket that took effect.
struct WriteOutcome: Sendable {
    /// The bytes of a file that are in the object: they are the file's bytes now.
    struct Content: Sendable {
        var size: Int64
        /// Their time; nil leaves the row's.
        var modified: Timestamp?
        /// The row's time when the write began: if it is another now, a program has set it.
        var formerlyModified: Timestamp?
    }

    /// What is written of attributes, and so compared.
    var policy: MetadataPolicy
    var object: RemoteObject
    /// Nil if the object's bytes are not the inode's content, or not as it is now.
    var content: Content?
    /// Attributes that the object carries; nil if it carries those of its source.
    var attributes: PosixMetadata?
    /// The row's attributes when ``attributes`` were made of them; nil if they are older.
    var begun: PosixMetadata?
    /// The version that was copied; nil if that is not known.
    var copied: ETag?
}

extension JournalTransaction {
    /// Records the outcome of a write. Whatever happened to the inode meanwhile is taken into account: unlinked, the
    /// object is to be deleted; renamed, it is to be moved; changed, it is to be written again.
    func settle(_ number: InodeNumber, _ outcome: WriteOutcome, sequence: Int64) throws {
        let object = outcome.object
        guard var inode = try inode(number), inode.linkCount > 0 else {
            return try bury(object.key, etag: object.etag)
        }
        if let former = inode.remote, former.key != object.key { try bury(former.key, etag: former.etag) }
        try removeTombstone(at: object.key)
        inode.remote = object
        inode.remoteSequence = sequence
        inode.attempt = nil
        if let content = outcome.content {
            inode.pending.remove(.content)
            inode.isMetadataKnown = true
            inode.size = content.size
            if inode.modified == content.formerlyModified { inode.modified = content.modified ?? inode.modified }
        }
        if inode.aliasOf == nil {
            try settleAttributes(of: &inode, outcome)
        } else {
            try settleAlias(&inode, outcome)
        }
        inode.pending = try inode.pending.with(.location, key(of: inode) != object.key)
        try update(inode)
    }

    /// The object of a further name is up to date if it was copied from what the inode's object is now.
    private func settleAlias(_ alias: inout Inode, _ outcome: WriteOutcome) throws {
        let inode = try target(of: alias)
        guard let copied = outcome.copied, inode.remote?.etag == copied,
            inode.pending.isDisjoint(with: [.content, .metadata])
        else { return }
        let current = try posixMetadata(of: inode).limited(to: outcome.policy)
        let isSame = outcome.attributes.map { current.isSame(as: $0.limited(to: outcome.policy)) } ?? true
        if isSame { alias.pending.remove(.content) }
    }

    private func settleAttributes(of inode: inout Inode, _ outcome: WriteOutcome) throws {
        guard let attributes = outcome.attributes else { return }
        let policy = outcome.policy
        let current = try posixMetadata(of: inode).limited(to: policy)
        let carried = attributes.limited(to: policy)
        // A program may have set the time of a directory since: then that is what is pending.
        let isTimeKnown = current.modified == carried.modified || !inode.pending.contains(.metadata)
        if current == outcome.begun?.limited(to: policy) || isTimeKnown && current.isSame(as: carried) {
            inode.pending.remove(.metadata)
        } else if outcome.content != nil || outcome.begun == nil {
            // An upload that was begun before a restart, or while the file grew, carries the attributes of then.
            inode.pending.insert(.metadata)
        }
    }
}

extension PendingChange {
    fileprivate func with(_ change: PendingChange, _ isPending: Bool) -> PendingChange {
        isPending ? union(change) : subtracting(change)
    }
}

extension PosixMetadata {
    /// Whether another, read from an object, says the same to whoever reads it there. The time of the last change of attributes is
    /// left out, and the time of a directory, which follows the names in it: they alone are not worth a request.
    func isSame(as other: PosixMetadata) -> Bool {
        (kind == other.kind || other.kind == nil)
            && permissions.map { $0 & 0o1777 } == other.permissions.map { $0 & 0o1777 }
            && userID == other.userID && groupID == other.groupID
            && (modified == other.modified || kind == .directory)
            && extendedAttributes == other.extendedAttributes
    }
}

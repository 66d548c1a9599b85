import Cache
import ObjectStore

// MARK: Who wrote what is there

extension Reconciler {
    /// Why a conditional write was refused.
    enum Finding: Sendable {
        /// The journal was behind the bucket and is up to it now: make a new plan.
        case settled
        /// A former try of the same inode took effect.
        case ours(ObjectInfo)
        /// Somebody else wrote the object.
        case foreign(ObjectInfo)
    }

    /// Finds out what is at the key of an inode after a write there was refused.
    func examine(_ key: ObjectKey, for number: InodeNumber) async throws -> Finding {
        guard let info = try await store.headIfPresent(key) else {
            try journal.write { try $0.forgetObject(at: key, of: number) }
            return .settled
        }
        return try journal.write { transaction in
            if try transaction.isOurs(info, for: number) { return .ours(info) }
            return try transaction.claim(info, besides: number) ? .settled : .foreign(info)
        }
    }
}

extension Reconciler {
    /// Whether an object is what an upload, whose outcome is not journaled, made in the place of one that a file stands on.
    func isSuccessor(_ info: ObjectInfo, of base: RemoteObject, for number: InodeNumber) -> Bool {
        // A journal that cannot be read fails elsewhere.
        (try? journal.read { try $0.inode(number)?.remote == base && $0.isOurs(info, for: number) }) ?? false
    }
}

extension JournalTransaction {
    /// Whether an upload of this inode made the object.
    fileprivate func isOurs(_ info: ObjectInfo, for number: InodeNumber) throws -> Bool {
        guard let token = PosixMetadata(decoding: info.metadata).uploadToken else { return false }
        let tokens = [
            try inode(number)?.attempt.flatMap { $0.key == info.key ? $0.token : nil },
            try multipart(of: number).flatMap { $0.key == info.key ? $0.token : nil },
        ]
        return tokens.contains(token)
    }

    /// Nothing is at a key where an inode's object was thought to be, or that of a deleted file.
    fileprivate func forgetObject(at key: ObjectKey, of number: InodeNumber) throws {
        try removeTombstone(at: key)
        guard var inode = try inode(number), inode.remote?.key == key else { return }
        inode.remote = nil
        inode.pending.insert(.content)
        try update(inode)
    }

    /// Finds an explanation of the object in the journal: the inode's own object unchanged, one that is to be deleted,
    /// or another inode's. False if there is none.
    fileprivate func claim(_ info: ObjectInfo, besides number: InodeNumber) throws -> Bool {
        let token = PosixMetadata(decoding: info.metadata).uploadToken
        if let remote = try inode(number)?.remote, remote == RemoteObject(info) { return true }
        if let tombstone = try tombstone(at: info.key), tombstone.etag == info.etag || tombstone.covers(token) {
            try replace(info, of: tombstone, by: number)
            return true
        }
        if try inodes(withRemoteKey: info.key).contains(where: { $0.linkCount > 0 && $0.remote?.etag == info.etag }) {
            return true
        }
        guard let token, var maker = try inode(attempting: info.key, token: token) else { return false }
        // It was renamed away while the answer to its upload was lost; it moves its object itself.
        if let former = maker.remote, former.key != info.key { try bury(former.key, etag: former.etag) }
        maker.remote = RemoteObject(info)
        maker.attempt = nil
        maker.pending.insert(.location)
        try update(maker)
        return true
    }

    /// The object is to be deleted, and the inode's will take its place.
    private func replace(_ info: ObjectInfo, of tombstone: Tombstone, by number: InodeNumber) throws {
        if var inode = try inode(number), inode.remote?.key == info.key {
            // An upload of its own, before it went elsewhere and came back, had replaced the object that it knows.
            inode.remote = RemoteObject(info)
            inode.pending.insert(.content)
            try update(inode)
            return try removeTombstone(at: info.key)
        }
        var tombstone = tombstone
        tombstone.etag = info.etag
        try setTombstone(tombstone)
    }
}

import Cache
import ObjectStore

/// What one inode needs next to bring the bucket up to the journal, decided from one moment of the journal.
///
/// State, not history: the key an inode shall have, the object it is known to be, and what is pending. Whatever
/// happened in between (renames back and forth, changes, a crash) makes no difference.
enum WritebackPlan: Equatable, Sendable {
    /// The bucket is up to date, or the inode has no name any more.
    case nothing
    /// The bucket is up to date and the row does not say so.
    case clear
    /// The object of another inode is still at the key; that one moves first.
    case wait(for: InodeNumber)
    /// The object is a further name's: the inode's own goes first, and is copied then.
    case follow(InodeNumber)
    /// A program is writing, and will close the file: parts that are full go ahead, to an object of that key.
    case stream(to: ObjectKey)
    /// Others wait for this inode in a circle (two files swapped their names): it lets go of its object. Its bytes
    /// are local then, the object stays until another inode's takes its place, and the bytes are sent anew.
    case detach
    /// Send the bytes, with all attributes.
    case put(ObjectKey, WriteCondition)
    /// Copy the object on the server, onto itself to replace its attributes alone.
    case copy(RemoteObject, to: ObjectKey, WriteCondition)

    /// What the journal says of an inode and of the key it shall have, read in one transaction.
    struct Snapshot: Equatable, Sendable {
        var inode: Inode
        /// Nil for the root and for an inode without a name.
        var key: ObjectKey?
        /// Of a further name (hard link): the inode it stands for.
        var target: Inode?
        /// A program writes into it, and its object has its bytes of now.
        var isTargetSent = false
        /// At ``key``.
        var tombstone: Tombstone?
        /// Another inode with a name whose object is at ``key``.
        var occupant: InodeNumber?
        /// Whether the occupant waits for this inode, directly or through others.
        var isInCircle = false
        var isOpenForWriting = false
        /// Nothing was written for ``WritebackConfiguration/idleDelay``.
        var isQuiet = false
    }

    /// `isUrgent`: somebody waits for the bucket, so that also a file that is being written goes as it is now.
    init(_ snapshot: Snapshot, isUrgent: Bool) {
        guard let key = snapshot.key else {
            self = snapshot.inode.number == .root && !snapshot.inode.pending.isEmpty ? .clear : .nothing
            return
        }
        let needs = Self.needs(of: snapshot.inode, at: key)
        if needs.isEmpty {
            self = snapshot.inode.pending.isEmpty ? .nothing : .clear
        } else if needs.contains(.content), !isUrgent, let final = snapshot.growingKey(key) {
            self = .stream(to: final)
        } else if let occupant = snapshot.occupant {
            self = snapshot.isInCircle && snapshot.inode.remote != nil ? .detach : .wait(for: occupant)
        } else if let target = snapshot.target, !needs.contains(.location) || snapshot.inode.remote == nil {
            self = Self.renew(snapshot, from: target, to: key)
        } else {
            self = Self.write(needs, of: snapshot, to: key)
        }
    }

    private static func needs(of inode: Inode, at key: ObjectKey) -> PendingChange {
        var needs = inode.pending
        guard let remote = inode.remote else {
            // Without an object there is nothing to move, and attributes need an object to live in.
            let isMarked = inode.kind != .directory || inode.pending.contains(.metadata)
            return needs.contains(.content) || (isMarked && !needs.isEmpty) ? .content : []
        }
        if remote.key == key { needs.remove(.location) } else { needs.insert(.location) }
        return needs
    }

    private static func renew(_ snapshot: Snapshot, from target: Inode, to key: ObjectKey) -> WritebackPlan {
        let isRenewed = snapshot.isTargetSent || target.pending.isDisjoint(with: [.content, .metadata])
        guard let source = target.remote, isRenewed else { return .follow(target.number) }
        return .copy(source, to: key, snapshot.condition(at: key))
    }

    private static func write(_ needs: PendingChange, of snapshot: Snapshot, to key: ObjectKey) -> WritebackPlan {
        let inode = snapshot.inode
        let mayMove = snapshot.target != nil || inode.kind == .file && !needs.contains(.content)
        if let remote = inode.remote, mayMove { return .copy(remote, to: key, snapshot.condition(at: key)) }
        return .put(key, snapshot.condition(at: key))
    }
}

extension WritebackPlan.Snapshot {
    /// The key that a file that is being written will have; nil if its bytes are to go as they are. A file that lies still
    /// goes although it is open, unless its name says that it is not whole.
    fileprivate func growingKey(_ key: ObjectKey) -> ObjectKey? {
        let final = TemporaryName.finalKey(of: key)
        return isOpenForWriting && !(isQuiet && final == key) ? final : nil
    }

    /// Under which the key may be written: it holds what is known to be ours.
    fileprivate func condition(at key: ObjectKey) -> WriteCondition {
        if let remote = inode.remote, remote.key == key { return .ifMatch(remote.etag) }
        // The object of a file that was deleted here, or moved away, is replaced without a gap.
        if let etag = tombstone?.etag { return .ifMatch(etag) }
        return .ifAbsent
    }
}

import Cache
import ObjectStore
import Platform

// MARK: Conflicts

extension Reconciler {
    /// Somebody else's object is where an inode's was to be written: it keeps its key as a file of its own, and the
    /// local one gets a new name beside it.
    func keepBoth(_ number: InodeNumber, at key: ObjectKey, theirs info: ObjectInfo) async throws {
        try await dropMultipart(of: number)
        try await makeIndependent(number, of: key)
        let now = time.wall
        let suffix = ".conflict-\(Self.plain(settings.host))-\(CalendarTime(now).basic)"
        let sequence = journal.nextSequence()
        let changes = try journal.write { transaction in
            try transaction.keepBoth(
                number, at: key, theirs: info, settings.defaults, suffix: suffix, time: now, sequence: sequence)
        }
        guard !changes.isEmpty else { return }
        logger.warning("conflict: both versions are kept", metadata: ["key": "\(key)"])
        onChange(changes)
    }

    /// What of a file is only in the object at `key` becomes local.
    private func makeIndependent(_ number: InodeNumber, of key: ObjectKey) async throws {
        guard let inode = try journal.inode(number), inode.local == .partial, inode.remote?.key == key,
            inode.pending.contains(.content)
        else { return }
        let file = try cache.acquire(number)
        defer { cache.release(file) }
        try await makeComplete(file)
        try journal.write { transaction in
            guard var inode = try transaction.inode(number), inode.local == .partial else { return }
            inode.local = .complete
            try transaction.update(inode)
        }
    }

    /// A host name without what a file name cannot hold.
    private static func plain(_ host: String) -> String {
        String(host.unicodeScalars.filter { $0 != "/" && $0.value > 32 }.prefix(63).map(Character.init))
    }
}

extension JournalTransaction {
    fileprivate func keepBoth(
        _ number: InodeNumber,
        at key: ObjectKey,
        theirs info: ObjectInfo,
        _ defaults: RemoteDefaults,
        suffix: String,
        time: Timestamp,
        sequence: Int64
    ) throws -> [BucketChange] {
        guard var inode = try inode(number), inode.linkCount > 0, try self.key(of: inode) == key,
            let path = try path(of: number), let (parent, name) = try name(of: number)
        else { return [] }
        let newName = try freeName(beside: name, suffix: suffix, in: parent)
        try unlink(name, in: parent)
        try link(newName, in: parent, to: number)
        if inode.remote?.key == key { inode.remote = nil }
        if inode.remote == nil { inode.pending.insert(.content) } else { inode.pending.insert(.location) }
        inode.attempt = nil
        try update(inode)
        try removeTombstone(at: key)
        let theirs = try insert(info, defaults, sequence: sequence)
        try link(name, in: parent, to: theirs.number)
        try record(
            JournalEvent(
                kind: .conflict,
                path: path,
                message: "somebody else wrote it as well; the version of this machine is \(newName)",
                time: time
            )
        )
        return [.name(name, in: parent), .name(newName, in: parent)]
    }

    private func freeName(beside name: FileName, suffix: String, in parent: InodeNumber) throws -> FileName {
        for count in 1... {
            let ending = count == 1 ? suffix : "\(suffix)-\(count)"
            var stem = name.string.unicodeScalars[...]
            while !stem.isEmpty {
                if let candidate = FileName(String(stem) + ending) {
                    if try child(candidate, of: parent) == nil { return candidate }
                    break
                }
                stem.removeLast()
            }
        }
        throw CacheError.corrupt("no name is left for a conflict copy of \(name)")
    }

    /// An inode for an object that is in the bucket; what its metadata does not say is as for any other.
    private func insert(_ info: ObjectInfo, _ defaults: RemoteDefaults, sequence: Int64) throws -> Inode {
        let said = PosixMetadata(decoding: info.metadata)
        let inode = try insertInode { number in
            var inode = Inode(
                number: number,
                kind: .file,
                permissions: said.permissions ?? defaults.filePermissions,
                userID: said.userID ?? defaults.userID,
                groupID: said.groupID ?? defaults.groupID,
                time: said.modified ?? info.lastModified
            )
            inode.size = info.size
            inode.changed = said.changed ?? inode.modified
            inode.remote = RemoteObject(info)
            inode.remoteSequence = sequence
            // The target of a symbolic link is in the body: ``MetadataLoader`` reads both.
            inode.isMetadataKnown = said.kind != .symbolicLink
            return inode
        }
        for (name, value) in said.extendedAttributes { try setExtendedAttribute(name, to: value, of: inode.number) }
        return inode
    }
}

import Cache
import Logging
import ObjectStore
import Platform
import Synchronization

/// Brings attributes that only an object's user metadata tells into the journal: listings do not carry them.
public final class MetadataLoader: Sendable {
    /// Told once, nil for success; on any thread.
    public typealias Completion = @Sendable (StoreError?) -> Void

    /// Longest body that can be the target of a symbolic link: PATH_MAX less the final NUL.
    public static let maximumTargetLength: Int64 = 4095

    private let store: any ObjectStore
    private let journal: Journal
    private let underWay = Mutex<[InodeNumber: [Completion]]>([:])

    public init(store: any ObjectStore, journal: Journal) {
        self.store = store
        self.journal = journal
    }

    /// Loads the metadata of an inode, or joins a load under way. `.notFound` or `.preconditionFailed` if the object
    /// is not the version that the journal knows.
    public func load(_ number: InodeNumber, then completion: @escaping Completion) {
        let isFirst = underWay.withLock { underWay in
            defer { underWay[number, default: []].append(completion) }
            return underWay[number] == nil
        }
        guard isFirst else { return }
        Task {
            let error = await load(number)
            let waiting = underWay.withLock { $0.removeValue(forKey: number) ?? [] }
            for completion in waiting { completion(error) }
        }
    }

    private func load(_ number: InodeNumber) async -> StoreError? {
        do {
            guard let inode = try journal.read({ try $0.inode(number) }) else { return nil }
            guard let remote = inode.remote else { return try await loadMarker(of: inode) }
            let info = try await store.head(remote.key)
            guard info.etag == remote.etag else {
                throw StoreError(.preconditionFailed, message: "the object is another version now")
            }
            let metadata = PosixMetadata(decoding: info.metadata)
            var target: String?
            if metadata.kind == .symbolicLink { target = try await self.target(of: remote) }
            try journal.write { transaction in
                guard var current = try transaction.inode(number), current.remote == remote else { return }
                try apply(metadata, target: target, to: &current, in: transaction)
                try transaction.update(current)
            }
            return nil
        } catch {
            return error as? StoreError ?? StoreError(.localFault, message: "\(error)")
        }
    }

    /// A directory of which only the names below it were seen: it may have a marker object all the same.
    private func loadMarker(of inode: Inode) async throws -> StoreError? {
        guard inode.kind == .directory, let key = try journal.read({ try $0.key(of: inode) }) else { return nil }
        let info = try await store.headIfPresent(key)
        try journal.write { transaction in
            guard var current = try transaction.inode(inode.number), current.remote == nil, current.pending.isEmpty,
                try transaction.key(of: current) == key
            else { return }
            if let info {
                current.remote = RemoteObject(key: key, etag: info.etag, size: info.size)
                try apply(PosixMetadata(decoding: info.metadata), target: nil, to: &current, in: transaction)
            }
            current.isMetadataKnown = true
            try transaction.update(current)
        }
        return nil
    }

    /// What was changed here since is newer than what the object says.
    private func apply(
        _ metadata: PosixMetadata, target: String?, to inode: inout Inode, in transaction: JournalTransaction
    ) throws {
        guard !inode.isMetadataKnown else { return }
        inode.isMetadataKnown = true
        switch metadata.kind {
        case .symbolicLink? where inode.kind == .file && target != nil:
            inode.kind = .symbolicLink
            inode.linkTarget = target
        case let kind? where inode.kind == .file && inode.size == 0 && kind.isSpecial:
            inode.kind = kind
            inode.device = kind.isDevice ? metadata.device ?? 0 : 0
        default: break
        }
        guard !inode.pending.contains(.metadata) else { return }
        inode.permissions = metadata.permissions ?? inode.permissions
        inode.userID = metadata.userID ?? inode.userID
        inode.groupID = metadata.groupID ?? inode.groupID
        inode.modified = metadata.modified ?? inode.modified
        inode.changed = metadata.changed ?? inode.modified
        inode.accessed = metadata.accessed ?? inode.modified
        for (name, value) in metadata.extendedAttributes {
            try transaction.setExtendedAttribute(name, to: value, of: inode.number)
        }
    }

    private func target(of remote: RemoteObject) async throws -> String {
        guard remote.size <= Self.maximumTargetLength else {
            throw StoreError(.badAnswer, message: "the target of the symbolic link \(remote.key) is too long")
        }
        let sink = CollectingSink()
        _ = try await store.get(remote.key, range: nil, ifMatch: remote.etag, into: sink)
        return ByteText.encode(sink.bytes)
    }
}

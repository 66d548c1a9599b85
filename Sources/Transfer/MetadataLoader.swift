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

    /// An object up to this size that is read next comes as a whole, bytes; the store's checksum covers no less.
    static let wholeSize: Int64 = 1 << 20
    /// Of a larger one, so many bytes come: what a reader of its head wants, and little if nobody reads it.
    static let firstSize: Int64 = 64 << 10

    private let store: any ObjectStore
    private let cache: FileCache
    private let fetcher: Fetcher
    private let listed: ListedAttributes
    private let underWay = Mutex<[InodeNumber: [Completion]]>([:])

    /// `fetcher`: of files of the same store. `listed` is told what objects carry.
    public init(store: any ObjectStore, cache: FileCache, fetcher: Fetcher, listed: ListedAttributes) {
        self.store = store
        self.cache = cache
        self.fetcher = fetcher
        self.listed = listed
    }

    private var journal: Journal { cache.journal }

    /// Loads the metadata of an inode, or joins a load under way. `.notFound` or `.preconditionFailed` if the object
    /// is not the version that the journal knows.
    ///
    /// `isReadNext`: a file will probably be read at once. Then one request brings both its attributes and bytes.
    public func load(_ number: InodeNumber, isReadNext: Bool = false, then completion: @escaping Completion) {
        let isFirst = underWay.withLock { underWay in
            defer { underWay[number, default: []].append(completion) }
            return underWay[number] == nil
        }
        guard isFirst else { return }
        Task {
            let error = await load(number, isReadNext)
            let waiting = underWay.withLock { $0.removeValue(forKey: number) ?? [] }
            for completion in waiting { completion(error) }
        }
    }

    private func load(_ number: InodeNumber, _ isReadNext: Bool) async -> StoreError? {
        do {
            // Another load may have ended since this one was asked for.
            guard let inode = try journal.read({ try $0.inode(number) }), !inode.isMetadataKnown else { return nil }
            guard let remote = inode.remote else { return try await loadMarker(of: inode) }
            let found = try await find(inode, remote, isReadNext)
            guard found.info.etag == remote.etag else {
                throw StoreError(.preconditionFailed, message: "the object is another version now")
            }
            let metadata = PosixMetadata(decoding: found.info.metadata)
            listed.learned(metadata, of: number)
            var target: String?
            if metadata.kind == .symbolicLink { target = try await self.target(of: remote, found.bytes) }
            try cache.learn(number) {
                try journal.write { transaction in
                    guard var current = try transaction.inode(number), current.remote == remote else { return nil }
                    let former = current.modified
                    try metadata.apply(to: &current, target: target, in: transaction)
                    try transaction.update(current)
                    return (former, current.modified)
                }
            }
            // Only now: it may have turned out to be no file.
            if let bytes = found.bytes, target == nil { fetcher.keep(bytes, of: number, remote) }
            return nil
        } catch {
            return error as? StoreError ?? StoreError(.localFault, message: "\(error)")
        }
    }

    /// What the store says of an object, and its first bytes, or all of them, if they came along.
    private struct Found {
        var info: ObjectInfo
        var bytes: [UInt8]?
    }

    private func find(_ inode: Inode, _ remote: RemoteObject, _ isReadNext: Bool) async throws(StoreError) -> Found {
        if isReadNext, inode.kind == .file, remote.size > 0 {
            do {
                let sink = CollectingSink()
                let range = remote.size <= Self.wholeSize ? nil : 0..<Self.firstSize
                let info = try await store.get(remote.key, range: range, ifMatch: remote.etag, into: sink)
                // One version has one size: a store that tells two is not believed.
                if info.size == remote.size { return Found(info: info, bytes: sink.bytes) }
            } catch  where !error.isOutdated {
                // What cannot be read, as an archived object, can be asked about.
            }
        }
        return Found(info: try await store.head(remote.key))
    }

    /// A directory of which only the names below it were seen: it may have a marker object all the same.
    private func loadMarker(of inode: Inode) async throws -> StoreError? {
        guard inode.kind == .directory, let key = try journal.read({ try $0.key(of: inode) }) else { return nil }
        let info = try await store.headIfPresent(key)
        let marker = info.map { RemoteObject(key: key, etag: $0.etag, size: $0.size) }
        let metadata = info.map { PosixMetadata(decoding: $0.metadata) }
        listed.learned(metadata, of: inode.number)
        let isSame = try journal.write { transaction in
            guard var current = try transaction.inode(inode.number), current.pending.isEmpty,
                try transaction.key(of: current) == key
            else { return true }
            // A listing may have come upon it meanwhile.
            guard current.remote == nil || current.remote == marker else { return false }
            current.remote = marker
            try metadata?.apply(to: &current, target: nil, in: transaction)
            current.isMetadataKnown = true
            try transaction.update(current)
            return true
        }
        if !isSame { throw StoreError(.preconditionFailed, message: "the marker is another version now") }
        return nil
    }

    private func target(of remote: RemoteObject, _ bytes: [UInt8]?) async throws -> String {
        guard remote.size <= Self.maximumTargetLength else {
            throw StoreError(.badAnswer, message: "the target of the symbolic link \(remote.key) is too long")
        }
        if let bytes { return ByteText.encode(bytes) }
        let sink = CollectingSink()
        _ = try await store.get(remote.key, range: nil, ifMatch: remote.etag, into: sink)
        return ByteText.encode(sink.bytes)
    }
}

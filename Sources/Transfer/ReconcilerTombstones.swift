import Cache
import ObjectStore

// MARK: Deleting objects

extension Reconciler {
    enum Burial: Equatable, Sendable {
        /// The tombstone is gone.
        case done
        /// An inode has to be reconciled first.
        case waits(for: InodeNumber)
        /// It is a directory's marker, and objects below it have to go first.
        case waitsForContents
    }

    /// Deletes the object of a tombstone, if it still is the version that was to be deleted and nobody needs it.
    func bury(_ key: ObjectKey) async throws -> Burial {
        try await withKey(key) {
            guard let tombstone = try journal.read({ try $0.tombstone(at: key) }) else { return .done }
            switch try journal.read({ try $0.hold(on: tombstone) }) {
            case .awaits(let number): return .waits(for: number)
            case .awaitsContents: return .waitsForContents
            case .obsolete: break
            case nil:
                try await saveReaders(of: key)
                try await delete(tombstone)
            }
            try journal.write { transaction in
                guard try transaction.tombstone(at: key) == tombstone else { return }
                try transaction.removeTombstone(at: key)
                try transaction.buryEmptied(above: key)
            }
            return .done
        }
    }

    /// Programs may still have a deleted file open: what they can read must become local before its object goes.
    private func saveReaders(of key: ObjectKey) async throws {
        for number in cache.partialFiles(of: key) {
            let file = try cache.acquire(number)
            defer { cache.release(file) }
            try await makeComplete(file)
        }
    }

    private func delete(_ tombstone: Tombstone) async throws {
        if let etag = tombstone.etag, try await delete(tombstone.key, ifStill: etag) { return }
        // Another version is there: perhaps that of an upload of ours whose answer was lost.
        guard let info = try await store.headIfPresent(tombstone.key) else { return }
        if info.size == 0 && tombstone.key.string.hasSuffix("/") {
            // A directory that another made as well is one directory. SeaweedFS makes markers by itself, and their
            // ETags match nothing.
            try await store.delete(tombstone.key, ifMatch: nil)
        } else if tombstone.covers(PosixMetadata(decoding: info.metadata).uploadToken) {
            try await store.delete(tombstone.key, ifMatch: info.etag)
        } else if tombstone.etag != nil {
            try leave(info)
        }
    }

    /// False if another version is there.
    private func delete(_ key: ObjectKey, ifStill etag: ETag) async throws(StoreError) -> Bool {
        do {
            try await store.delete(key, ifMatch: etag)
            return true
        } catch {
            switch error.kind {
            case .notFound: return true
            case .preconditionFailed: return false
            default: throw error
            }
        }
    }

    private func leave(_ info: ObjectInfo) throws {
        logger.warning(
            "a deleted file's object was replaced by somebody else and stays",
            metadata: ["key": "\(info.key)"]
        )
        let now = time.wall
        try journal.write {
            try $0.record(
                JournalEvent(
                    kind: .conflict,
                    path: info.key.string,
                    message: "it was deleted here, and somebody else wrote it anew: their version stays",
                    time: now
                )
            )
        }
    }
}

extension JournalTransaction {
    /// Stores that are file systems underneath (SeaweedFS) show a directory for some seconds after its last object was deleted,
    /// also one that never had a marker: its key is deleted as well, unless there is such a directory.
    fileprivate func buryEmptied(above key: ObjectKey) throws {
        let name = key.string.hasSuffix("/") ? key.string.dropLast() : key.string[...]
        guard let slash = name.lastIndex(of: "/") else { return }
        let directory = String(name[...slash])
        guard try inode(at: String(directory.dropLast())) == nil, try !hasTombstones(withPrefix: directory),
            try !hasRemoteKeys(withPrefix: directory)
        else { return }
        try bury(ObjectKey(directory))
    }
}

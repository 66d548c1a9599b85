import Cache
import ObjectStore
import Platform

// MARK: Moving objects, and replacing their attributes

extension Reconciler {
    /// Copies an inode's object on the server to the key it shall have, with its attributes of now.
    func copy(
        _ number: InodeNumber,
        from source: RemoteObject,
        to key: ObjectKey,
        _ condition: WriteCondition
    ) async throws {
        let info = try await store.headIfPresent(source.key)
        if let info, try adoptRewritten(info, of: number, source) { return }
        guard let info, info.etag == source.etag else {
            if try await adoptCopy(of: number, source, at: key) { return }
            return try loseSource(number, source, replacement: info)
        }
        let token = makeToken()
        let attempt = try journal.write {
            try $0.beginAttempt(of: number, at: key, newToken: token, hasAllBytes: false)
        }
        guard let attempt else { return }
        try await copy(attempt, from: source, metadata: info.metadata, condition)
    }

    private func copy(
        _ attempt: WriteAttempt,
        from source: RemoteObject,
        metadata: [String: String],
        _ condition: WriteCondition
    ) async throws {
        // Attributes that were never read must not be replaced by guesses.
        let isKnown = attempt.inode.isMetadataKnown || attempt.inode.pending.contains(.metadata)
        var metadata = isKnown ? attempt.attributes.replacing(metadata, by: settings.metadata) : metadata
        metadata[PosixMetadata.Name.token] = attempt.token
        let attributes = isKnown ? attempt.attributes : nil
        do {
            let etag = try await copyBytes(of: source, to: attempt, metadata, condition)
            let object = RemoteObject(key: attempt.key, etag: etag, size: source.size)
            try settleCopy(
                attempt.inode.number, object, of: source.etag, attributes: attributes, begun: attributes)
        } catch let error as StoreError where error.kind == .unsupported || error.kind == .tooLarge {
            try sendInstead(attempt.inode.number, error)
        } catch let error as StoreError where error.isOutdated {
            // In place, the next look at the source tells what happened.
            if source.key != attempt.key { try await settleRefusal(of: attempt, source, attributes) }
        }
    }

    private func copyBytes(
        of source: RemoteObject,
        to attempt: WriteAttempt,
        _ metadata: [String: String],
        _ condition: WriteCondition
    ) async throws -> ETag {
        try await dropMultipart(of: attempt.inode.number)
        guard source.size > store.multipartLimits.maximumPartSize else {
            return try await store.copy(
                from: source.key,
                sourceETag: source.etag,
                to: attempt.key,
                metadata: metadata,
                condition: condition
            )
        }
        let plan = PartPlan(
            size: source.size,
            limits: store.multipartLimits,
            preferred: store.multipartLimits.maximumPartSize
        )
        guard let plan else { throw StoreError(.tooLarge, message: "\(source.key) cannot be copied in parts") }
        let id = try await createMultipart(
            MultipartRecord(key: attempt.key, id: UploadID(""), partSize: plan.partSize, token: attempt.token),
            metadata, of: attempt.inode.number
        ).id
        var parts: [UploadedPart] = []
        for number in 1...plan.count {
            parts.append(
                try await store.copyPart(
                    from: source.key,
                    sourceETag: source.etag,
                    range: plan.range(number),
                    to: attempt.key,
                    upload: id,
                    number: number
                )
            )
        }
        return try await store.completeMultipartUpload(attempt.key, upload: id, parts: parts, condition: condition)
    }

    private func settleRefusal(of attempt: WriteAttempt, _ source: RemoteObject, _ sent: PosixMetadata?) async throws {
        switch try await examine(attempt.key, for: attempt.inode.number) {
        case .settled: break
        case .ours(let info) where info.size == source.size || attempt.inode.aliasOf != nil:
            // Of a further name, it may be a copy of what the file was; the next is of what it is. The completion that was refused leaves its upload open.
            try await dropMultipart(of: attempt.inode.number)
            try settleCopy(
                attempt.inode.number,
                RemoteObject(info),
                attributes: sent == nil ? nil : PosixMetadata(decoding: info.metadata),
                begun: nil
            )
        case .ours(let info), .foreign(let info):
            try await keepBoth(attempt.inode.number, at: attempt.key, theirs: info)
        }
    }

    private func settleCopy(
        _ number: InodeNumber,
        _ object: RemoteObject,
        of copied: ETag? = nil,
        attributes: PosixMetadata?,
        begun: PosixMetadata?
    ) throws {
        let outcome = WriteOutcome(
            policy: settings.metadata, object: object, content: nil, attributes: attributes, begun: begun,
            copied: copied)
        let sequence = journal.nextSequence()
        try cache.rebase(number, on: object) {
            try journal.write { transaction in
                try transaction.removeMultipart(of: number)
                try transaction.settle(number, outcome, sequence: sequence)
            }
        }
    }

    /// A copy took effect before its source went, and the answer was lost.
    private func adoptCopy(of number: InodeNumber, _ source: RemoteObject, at key: ObjectKey) async throws -> Bool {
        let attempt = try journal.read { try $0.inode(number) }?.attempt
        guard let attempt, attempt.key == key, key != source.key, let info = try await store.headIfPresent(key),
            info.size == source.size, PosixMetadata(decoding: info.metadata).uploadToken == attempt.token
        else { return false }
        try settleCopy(number, RemoteObject(info), attributes: PosixMetadata(decoding: info.metadata), begun: nil)
        return true
    }

    /// The store cannot copy the object: its bytes go through this machine.
    private func sendInstead(_ number: InodeNumber, _ error: StoreError) throws {
        logger.warning(
            "the store cannot copy an object, which is sent again instead",
            metadata: ["ino": "\(number)", "error": "\(error)"]
        )
        try journal.write { transaction in
            guard var inode = try transaction.inode(number) else { return }
            // A further name has no bytes of its own that could be sent.
            guard inode.aliasOf == nil else { throw error }
            inode.pending.insert(.content)
            try transaction.update(inode)
        }
    }

    /// A copy of an object onto itself took effect and its answer was lost: the object carries our token.
    private func adoptRewritten(_ info: ObjectInfo, of number: InodeNumber, _ source: RemoteObject) throws -> Bool {
        let inode = try journal.read { try $0.inode(number) }
        let carried = PosixMetadata(decoding: info.metadata)
        guard let attempt = inode?.attempt, attempt.key == source.key, info.size == source.size,
            carried.uploadToken == attempt.token
        else { return false }
        try settleCopy(number, RemoteObject(info), attributes: carried, begun: nil)
        return true
    }
}

// MARK: Objects that somebody else removed or replaced

extension Reconciler {
    /// The object that was to be copied is gone, or another version has taken its place.
    private func loseSource(_ number: InodeNumber, _ source: RemoteObject, replacement: ObjectInfo?) throws {
        let isOpen = cache.openFile(number) != nil
        let now = time.wall
        let sequence = journal.nextSequence()
        let changes = try journal.write { transaction -> [BucketChange] in
            guard var inode = try transaction.inode(number), inode.linkCount > 0, inode.remote == source,
                let path = try transaction.path(of: number)
            else { return [] }
            if try transaction.key(of: inode) == source.key {
                inode.pending.subtract([.metadata, .location])
                inode.attempt = nil
                try transaction.update(inode)
                try transaction.record(
                    JournalEvent(
                        kind: .conflict,
                        path: path,
                        message: "its attributes were not sent: somebody else replaced or deleted the object",
                        time: now
                    )
                )
                return [.attributes(number)]
            }
            let isSentAnew = inode.kind == .file && inode.local == .complete || inode.linkTarget != nil
            if isSentAnew || inode.aliasOf != nil {
                inode.remote = nil
                inode.pending.insert(.content)
                try transaction.update(inode)
                return []
            }
            if let replacement {
                guard !isOpen || inode.local == .none else { return [] }
                inode.remote = RemoteObject(replacement)
                inode.remoteSequence = sequence
                inode.size = replacement.size
                inode.isMetadataKnown = false
                try transaction.update(inode)
                return [.attributes(number)]
            }
            return try transaction.removeVanished(inode, path: path, time: now)
        }
        if !changes.isEmpty { onChange(changes) }
    }
}

extension JournalTransaction {
    /// A file of which no byte exists any more, here or in the bucket.
    fileprivate func removeVanished(_ inode: Inode, path: String, time: Timestamp) throws -> [BucketChange] {
        guard let (parent, name) = try name(of: inode.number) else { return [] }
        try record(
            JournalEvent(
                kind: .error,
                path: path,
                message: "somebody else deleted the object before it was moved",
                time: time
            )
        )
        var inode = inode
        inode.pending = []
        guard let gone = try forgetName(name, in: parent, leadingTo: inode, at: time) else {
            return [.name(name, in: parent), .attributes(inode.number)]
        }
        return [.name(name, in: parent), .removed(gone)]
    }
}

import Cache
import ObjectStore
import Platform

// MARK: Sending content

extension Reconciler {
    func put(
        _ number: InodeNumber,
        at key: ObjectKey,
        _ condition: WriteCondition,
        isUrgent: Bool,
        _ progress: UploadProgress
    ) async throws {
        switch try journal.read({ try $0.inode(number) })?.kind {
        case .file: try await putFile(number, at: key, condition, isUrgent: isUrgent, progress)
        case .directory, .symbolicLink, .pipe, .socket, .characterDevice, .blockDevice:
            try await putBody(number, at: key, condition)
        case nil: break
        }
    }

    private func putFile(
        _ number: InodeNumber,
        at key: ObjectKey,
        _ condition: WriteCondition,
        isUrgent: Bool,
        _ progress: UploadProgress
    ) async throws {
        let file = try cache.acquire(number)
        defer { cache.release(file) }
        if !isMultipart(file.version.size) || !mayStayPartial(file) { try await makeComplete(file) }
        guard var upload = try await beginUpload(of: file, at: key, condition) else { return }
        upload.isUrgent = isUrgent
        progress.start(total: upload.version.size)
        if isMultipart(upload.version.size) { return try await putParts(upload, progress) }
        guard file.hasAllBytes else { throw UploadSource.Changed() }
        try await dropMultipart(of: number)
        try await putWhole(upload, progress)
    }

    private func isMultipart(_ size: Int64) -> Bool {
        PartPlan.isMultipart(size: size, limits: store.multipartLimits, singlePutLimit: settings.singlePutLimit)
    }

    /// Nil if the key is not the file's any more. A file whose parts nobody sees before they are completed is synced while
    /// they leave (``putParts(_:_:)``); what was fetched of it is known to be there only after that.
    private func beginUpload(
        of file: CachedFile,
        at key: ObjectKey,
        _ condition: WriteCondition
    ) async throws -> FileUpload? {
        let version = file.version
        // Before the sync: what is written meanwhile may make the file whole and be lost all the same.
        let hasAllBytes = file.hasAllBytes
        // After a power cut this machine must not have less than the bucket shows.
        if !isMultipart(version.size) || !file.isComplete { try await cache.makeDurableAside(file) }
        let token = makeToken()
        let attempt = try journal.write {
            try $0.beginAttempt(of: file.inode, at: key, newToken: token, hasAllBytes: hasAllBytes)
        }
        guard let attempt else { return nil }
        // After the row was read: a program that sets the time between the two is not undone.
        let modified = file.status.modified
        var attributes = attempt.attributes
        attributes.modified = modified
        attributes.changed = attributes.changed.map { max($0, modified) }
        return FileUpload(
            file: file,
            version: version,
            key: key,
            condition: condition,
            token: attempt.token,
            attributes: attributes,
            begun: attempt.attributes,
            policy: settings.metadata
        )
    }

    private func putWhole(_ upload: FileUpload, _ progress: UploadProgress) async throws {
        let version = upload.version
        let body = UploadSource(upload.file, range: 0..<version.size, of: version, progress: progress)
        body.confirm()
        let etag: ETag
        do {
            etag = try await store.put(
                upload.key,
                body: body,
                metadata: upload.metadata,
                condition: upload.condition
            )
        } catch {
            body.abandon()
            if let damage = body.damage { throw damage }
            return try await recover(from: error, upload)
        }
        body.finish()
        if etag.md5Hex == nil { try await verify(upload, made: upload.token) }
        try finish(upload, as: RemoteObject(key: upload.key, etag: etag, size: upload.version.size))
    }

    /// For ETags that cannot be the MD5 of the bytes: asks what the store has, which must carry the token.
    @discardableResult
    func verify(_ upload: FileUpload, made token: String) async throws -> ObjectInfo {
        let info = try await store.head(upload.key)
        guard info.size == upload.version.size, PosixMetadata(decoding: info.metadata).uploadToken == token
        else {
            throw StoreError(
                .corrupted,
                message: "the store holds \(info.size) bytes of \(upload.version.size) that were sent"
            )
        }
        return info
    }

    /// A write was refused: throws what time may heal, and settles the rest in the journal.
    func recover(from error: any Error, _ upload: FileUpload) async throws {
        guard let error = error as? StoreError else { throw error }
        switch error.kind {
        case .preconditionFailed, .notFound: try await settleRefusal(of: upload)
        case .corrupted where upload.isOutdated, .localFault where upload.isOutdated: break  // it changed while sent
        default: throw error
        }
    }

    private func settleRefusal(of upload: FileUpload) async throws {
        switch try await examine(upload.key, for: upload.file.inode) {
        case .settled: break
        case .ours(let info) where try upload.isSame(as: info), .foreign(let info) where try upload.isSame(as: info):
            // The completion that was refused leaves its upload open.
            try await dropMultipart(of: upload.file.inode)
            try finish(upload, as: RemoteObject(info), carrying: PosixMetadata(decoding: info.metadata))
        case .ours(let info):
            // An answer was lost, and the file changed since or the object's bytes cannot be told: it is replaced.
            try adopt(info, for: upload)
        case .foreign(let info):
            try await keepBoth(upload.file.inode, at: upload.key, theirs: info)
        }
    }

    /// Takes an object of ours as what the file was last known to be; its content stays pending.
    func adopt(_ info: ObjectInfo, for upload: FileUpload) throws {
        let sequence = journal.nextSequence()
        var none = upload.version
        none.changes = .max
        try upload.file.finishUpload(of: none, as: RemoteObject(info)) { _ in
            try journal.write {
                try $0.settle(
                    upload.file.inode,
                    WriteOutcome(policy: settings.metadata, object: RemoteObject(info)),
                    sequence: sequence
                )
            }
        }
    }

    /// The bytes of the upload's version are in the bucket. `attributes`: what the object carries, if it is not what
    /// this upload sent.
    func finish(_ upload: FileUpload, as object: RemoteObject, carrying attributes: PosixMetadata? = nil) throws {
        try upload.file.synchronize()
        let sequence = journal.nextSequence()
        var outcome = WriteOutcome(
            policy: settings.metadata,
            object: object,
            attributes: attributes ?? upload.attributes,
            begun: attributes == nil ? upload.begun : nil
        )
        try upload.file.finishUpload(of: upload.version, as: object) { isCurrent in
            if isCurrent {
                outcome.content = .init(
                    size: upload.version.size,
                    modified: upload.attributes.modified,
                    formerlyModified: upload.begun.modified
                )
            }
            try journal.write { transaction in
                try transaction.removeMultipart(of: upload.file.inode)
                try transaction.settle(upload.file.inode, outcome, sequence: sequence)
            }
        }
    }
}

/// One try at sending one version of a file.
struct FileUpload: Sendable {
    let file: CachedFile
    let version: CachedFile.Version
    let key: ObjectKey
    let condition: WriteCondition
    let token: String
    /// What the object will carry, as far as ``policy`` has it written.
    let attributes: PosixMetadata
    /// The row's attributes when it was begun.
    let begun: PosixMetadata
    let policy: MetadataPolicy
    /// Somebody waits for the bucket: a file that goes on growing is sent up to the size it had.
    var isUrgent = false

    var metadata: [String: String] {
        var sent = attributes
        sent.uploadToken = token
        return sent.limited(to: policy).encoded
    }

    /// Whether the file has changed since.
    var isOutdated: Bool { file.version != version }

    /// Whether an object is known to have the bytes of this version.
    func isSame(as info: ObjectInfo) throws -> Bool {
        guard info.size == version.size, let md5 = info.etag.md5Hex, !isOutdated, file.hasAllBytes else { return false }
        return try UploadSource.md5(of: file, range: 0..<version.size) == md5
    }
}

extension RemoteObject {
    init(_ info: ObjectInfo) {
        self.init(key: info.key, etag: info.etag, size: info.size)
    }
}

// MARK: Directories and symbolic links

extension Reconciler {
    /// Sends a directory's marker or a symbolic link's target.
    private func putBody(_ number: InodeNumber, at key: ObjectKey, _ condition: WriteCondition) async throws {
        let token = makeToken()
        let attempt = try journal.write {
            try $0.beginAttempt(of: number, at: key, newToken: token, hasAllBytes: false)
        }
        guard let attempt else { return }
        let body = BytesSource(ByteText.decode(attempt.inode.linkTarget ?? ""))
        var sent = attempt.attributes
        sent.uploadToken = attempt.token
        let metadata = sent.limited(to: settings.metadata).encoded
        do {
            let etag = try await store.put(key, body: body, metadata: metadata, condition: condition)
            try settleBody(
                attempt,
                RemoteObject(key: key, etag: etag, size: body.count),
                attributes: attempt.attributes,
                begun: attempt.attributes
            )
        } catch let error as StoreError where error.isOutdated {
            try await settleRefusal(of: attempt, body)
            if attempt.inode.kind == .directory { try await replaceMarker(attempt, metadata, refused: condition) }
        }
    }

    /// A directory's marker has no bytes that could be lost: where a store refuses the very ETag that it tells of one
    /// (SeaweedFS, of directories that it made by itself), the marker is written whatever version is there.
    private func replaceMarker(
        _ attempt: WriteAttempt,
        _ metadata: [String: String],
        refused condition: WriteCondition
    ) async throws {
        // Whatever the refusal settled is no attempt any more.
        guard try journal.inode(attempt.inode.number)?.attempt?.token == attempt.token,
            let info = try await store.headIfPresent(attempt.key), info.size == 0, .ifMatch(info.etag) == condition
        else { return }
        let etag = try await store.put(attempt.key, body: BytesSource([]), metadata: metadata, condition: .none)
        try settleBody(
            attempt,
            RemoteObject(key: attempt.key, etag: etag, size: 0),
            attributes: attempt.attributes,
            begun: attempt.attributes
        )
    }

    private func settleRefusal(of attempt: WriteAttempt, _ body: BytesSource) async throws {
        switch try await examine(attempt.key, for: attempt.inode.number) {
        case .settled: break
        case .ours(let info):
            try settleBody(attempt, RemoteObject(info), attributes: PosixMetadata(decoding: info.metadata), begun: nil)
        case .foreign(let info) where attempt.inode.kind == .directory:
            // Two made the same directory: it is one directory.
            try settleBody(attempt, RemoteObject(info), attributes: nil, begun: nil)
        case .foreign(let info) where info.size == body.count && info.etag.md5Hex == body.md5:
            try settleBody(attempt, RemoteObject(info), attributes: PosixMetadata(decoding: info.metadata), begun: nil)
        case .foreign(let info):
            try await keepBoth(attempt.inode.number, at: attempt.key, theirs: info)
        }
    }

    private func settleBody(
        _ attempt: WriteAttempt,
        _ object: RemoteObject,
        attributes: PosixMetadata?,
        begun: PosixMetadata?
    ) throws {
        let outcome = WriteOutcome(
            policy: settings.metadata,
            object: object,
            content: .init(size: attempt.inode.size, modified: nil),
            attributes: attributes,
            begun: begun
        )
        let sequence = journal.nextSequence()
        try journal.write { try $0.settle(attempt.inode.number, outcome, sequence: sequence) }
    }
}

/// A few bytes in memory as the body of a request.
private struct BytesSource: ByteSource {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var count: Int64 { Int64(bytes.count) }
    var md5: String { Checksum.hex(Checksum.digest(.md5, of: bytes)) }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws {
        buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count])
    }
}

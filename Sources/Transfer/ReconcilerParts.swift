import Cache
import ObjectStore
import Platform

// MARK: Uploads in parts

extension Reconciler {
    /// A multipart upload that this try goes on with.
    struct Multipart: Sendable {
        var record: MultipartRecord
        var plan: PartPlan
        /// What a former try sent and the store still holds, by number.
        var sent: [Int: PartRecord] = [:]
        /// Whether it was created by a former try, with the attributes of then.
        var isResumed = false
    }

    func putParts(_ upload: FileUpload, _ progress: UploadProgress) async throws {
        async let durable: Void = cache.makeDurableAside(upload.file)
        guard let multipart = try await openMultipart(for: upload) else { return }
        do {
            let parts = try await sendParts(multipart, of: upload, progress)
            // After a power cut this machine must not have less than the bucket shows.
            try await durable
            guard
                try parts.count == multipart.plan.count && isWanted(upload) && holds(parts, of: upload, multipart.plan)
            else { return }
            let etag = try await store.completeMultipartUpload(
                upload.key,
                upload: multipart.record.id,
                parts: parts.map(\.part),
                condition: upload.condition
            )
            try await finish(multipart, of: upload, parts, etag: etag)
        } catch let error as StoreError where error.kind == .noSuchUpload {
            try await settleVanished(multipart.record, of: upload)
        } catch let error as StoreError where error.kind == .invalidPart {
            try await dropMultipart(of: upload.file.inode)
            throw error
        } catch {
            try await recover(from: error, upload)
        }
    }

    private func finish(
        _ multipart: Multipart, of upload: FileUpload, _ parts: [PartRecord], etag: ETag
    ) async throws {
        let info = try await verify(upload, made: multipart.record.token)
        guard Self.isMade(etag, of: parts) else {
            throw StoreError(.corrupted, message: "the ETag of the whole (\(etag)) is not that of its parts")
        }
        let carried = multipart.isResumed ? PosixMetadata(decoding: info.metadata) : nil
        try finish(upload, as: RemoteObject(info), carrying: carried)
    }

    /// Whether the parts together are the file as it was at one moment.
    ///
    /// If it has not changed since the first was read, they are. When somebody waits, what was only appended meanwhile
    /// is for the next upload; and of a file that was written over, they still are a moment if it has the same size now
    /// and a second reading, in which it does not change, finds the bytes of each as they were sent. Where versions tell
    /// little, the second reading has to do alone: each byte was the same at the moment between the two.
    private func holds(_ parts: [PartRecord], of upload: FileUpload, _ plan: PartPlan) throws -> Bool {
        let now = upload.file.version
        let isExact = now.isExact && upload.version.isExact
        if isExact && now == upload.version { return true }
        guard upload.isUrgent else { return false }
        if isExact && now.rewrites == upload.version.rewrites { return true }
        guard isExact ? now.size == upload.version.size : now.size >= upload.version.size else { return false }
        let isSame = parts.allSatisfy { upload.file.holds($0, plan.range($0.part.number)) }
        return isSame && (!isExact || upload.file.version == now)
    }

    /// Whether the file is still to be at the key.
    private func isWanted(_ upload: FileUpload) throws -> Bool {
        try journal.read { transaction in
            guard let inode = try transaction.inode(upload.file.inode), inode.linkCount > 0 else { return false }
            return try transaction.key(of: inode) == upload.key
        }
    }

    /// Goes on with the upload that the journal knows, or creates one. Nil if the journal's was completed: its outcome
    /// is settled then.
    private func openMultipart(for upload: FileUpload) async throws -> Multipart? {
        let number = upload.file.inode
        let limits = store.multipartLimits
        if let record = try journal.read({ try $0.multipart(of: number) }) {
            if record.key == upload.key, !record.isBeingCreated, try mayCarryOldAttributes(upload),
                let plan = PartPlan(size: upload.version.size, partSize: record.partSize, limits: limits)
            {
                return try await resume(record, plan, of: upload)
            }
            try await dropMultipart(of: number)
        }
        guard let plan = PartPlan(size: upload.version.size, limits: limits, preferred: settings.partSize) else {
            throw StoreError(.tooLarge, message: "a file of \(upload.version.size) bytes is larger than any object")
        }
        let record = try await createMultipart(
            MultipartRecord(key: upload.key, id: UploadID(""), partSize: plan.partSize, token: upload.token),
            upload.metadata, of: number)
        return Multipart(record: record, plan: plan)
    }

    /// Whether the attributes of an upload's creation will do: what is old then is replaced by a copy of the object onto
    /// itself. That follows the content, which stays pending while a program writes past this process: for who waits for
    /// the bucket then, an upload with the attributes of now begins.
    private func mayCarryOldAttributes(_ upload: FileUpload) throws -> Bool {
        guard upload.isUrgent, !upload.version.isExact else { return true }
        return try journal.inode(upload.file.inode)?.pending.contains(.metadata) != true
    }

    private func resume(_ record: MultipartRecord, _ plan: PartPlan, of upload: FileUpload) async throws -> Multipart? {
        do {
            let held = try await store.listParts(record.key, upload: record.id)
            let known = try journal.read { try $0.parts(of: upload.file.inode) }
            let etags = Dictionary(held.map { ($0.number, $0.etag) }) { $1 }
            let sent = known.filter { etags[$0.part.number] == $0.part.etag }
            return Multipart(
                record: record,
                plan: plan,
                sent: Dictionary(sent.map { ($0.part.number, $0) }) { $1 },
                isResumed: true
            )
        } catch let error as StoreError where error.kind == .noSuchUpload {
            try await settleVanished(record, of: upload)
            return nil
        }
    }

    /// The store does not know the upload: it was completed and the answer was lost, or it was dropped.
    private func settleVanished(_ record: MultipartRecord, of upload: FileUpload) async throws {
        if let info = try await store.headIfPresent(record.key),
            PosixMetadata(decoding: info.metadata).uploadToken == record.token
        {
            if try info.size == upload.version.size && partsMatch(record, of: upload) {
                return try finish(upload, as: RemoteObject(info), carrying: PosixMetadata(decoding: info.metadata))
            }
            try journal.write { try $0.removeMultipart(of: upload.file.inode) }
            return try adopt(info, for: upload)
        }
        try journal.write { try $0.removeMultipart(of: upload.file.inode) }
    }

    /// Whether the file's bytes are those of the parts in the journal, all of them.
    private func partsMatch(_ record: MultipartRecord, of upload: FileUpload) throws -> Bool {
        guard
            let plan = PartPlan(
                size: upload.version.size,
                partSize: record.partSize,
                limits: store.multipartLimits
            )
        else { return false }
        let parts = try journal.read { try $0.parts(of: upload.file.inode) }
        guard parts.map(\.part.number) == Array(1...plan.count) else { return false }
        return parts.allSatisfy { upload.file.holds($0, plan.range($0.part.number)) } && !upload.isOutdated
    }

    /// Gives up an upload in parts, in the store and in the journal.
    func dropMultipart(of number: InodeNumber) async throws {
        guard let record = try journal.read({ try $0.multipart(of: number) }) else { return }
        try await drop(record, of: number)
    }

    private func drop(_ record: MultipartRecord, of number: InodeNumber) async throws {
        if record.isBeingCreated {
            try await abortStrays(of: record.key)
        } else {
            try await store.abortMultipartUpload(record.key, upload: record.id)
        }
        try journal.write { transaction in
            guard try transaction.multipart(of: number) == record else { return }
            try transaction.removeMultipart(of: number)
        }
    }

    /// Gives up the uploads of files that were deleted. One that fails does not keep the others.
    func dropAbandonedMultiparts() async throws {
        var failure: (any Error)?
        for (number, record) in try journal.read({ try $0.abandonedMultiparts() }) {
            do { try await drop(record, of: number) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }
}

// MARK: Parts

extension Reconciler {
    /// Sends the parts that the store does not have yet; ascending. Ends early, with fewer parts than planned, when
    /// the file was deleted, renamed or changed: what changed is sent by the next try, with all that has changed then.
    private func sendParts(
        _ multipart: Multipart,
        of upload: FileUpload,
        _ progress: UploadProgress
    ) async throws -> [PartRecord] {
        try await sendParts(1...multipart.plan.count, multipart, of: upload.file, progress) {
            try (upload.isUrgent || !upload.isOutdated) && isWanted(upload)
        }
    }

    /// Sends these parts, as many at once as the link is good for, and asks before each whether to go on; ascending.
    func sendParts(
        _ numbers: some Sequence<Int>,
        _ multipart: Multipart,
        of file: CachedFile,
        _ progress: UploadProgress,
        while goesOn: () throws -> Bool
    ) async throws -> [PartRecord] {
        let turns = PartTurns(most: settings.partConcurrency) { [self] in partPace.withLock(\.count) }
        return try await withThrowingTaskGroup(of: PartRecord.self) { group in
            for number in numbers {
                guard await turns.begin(number), try goesOn() else { break }
                group.addTask { [self] in
                    do {
                        let part = try await sendPart(number, multipart, of: file, progress) { turns.passOn(number) }
                        turns.end(number, hasFailed: false)
                        return part
                    } catch {
                        turns.end(number, hasFailed: true)
                        throw error
                    }
                }
            }
            var parts: [PartRecord] = []
            for try await part in group { parts.append(part) }
            return parts.sorted { $0.part.number < $1.part.number }
        }
    }

    private func sendPart(
        _ number: Int,
        _ multipart: Multipart,
        of file: CachedFile,
        _ progress: UploadProgress,
        passingOn passOn: @escaping @Sendable () -> Void
    ) async throws -> PartRecord {
        try Task.checkCancellation()
        let range = multipart.plan.range(number)
        if !isUntouched(range, of: file) { try await makeLocal(range, of: file) }
        if let known = multipart.sent[number], file.holds(known, range) {
            progress.skip(range.length)
            return known
        }
        if let record = try await copyUnchanged(number, range, multipart.record, of: file) {
            try journalPart(record, multipart, file.inode)
            progress.skip(range.length)
            return record
        }
        try await makeLocal(range, of: file)
        let start = time.monotonic
        let body = UploadSource(file, range: range, progress: progress) { [time] in
            if PartPace.isQuick(time.monotonic - start) { passOn() }
        }
        do {
            let part = try await store.uploadPart(
                multipart.record.key,
                upload: multipart.record.id,
                number: number,
                body: body
            )
            body.finish()
            if range.length >= multipart.plan.partSize { partPace.withLock { $0.sent(in: time.monotonic - start) } }
            let record = PartRecord(part: part, fingerprint: body.fingerprint)
            try journalPart(record, multipart, file.inode)
            return record
        } catch {
            body.abandon()
            throw body.damage ?? error
        }
    }

    private func journalPart(_ record: PartRecord, _ multipart: Multipart, _ number: InodeNumber) throws {
        try journal.write { transaction in
            guard try transaction.multipart(of: number) == multipart.record else { return }
            try transaction.setPart(record, of: number)
        }
    }
}

extension CachedFile {
    /// Whether a range is local and still has the bytes of a part that was sent.
    func holds(_ record: PartRecord, _ range: Range<Int64>) -> Bool {
        guard record.part.size == range.length, let fingerprint = record.fingerprint, missing(in: range).isEmpty
        else { return false }
        return fingerprint == self.fingerprint(of: range)
    }
}

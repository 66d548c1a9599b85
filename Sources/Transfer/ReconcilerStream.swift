import Cache
import ObjectStore
import Platform

// MARK: Files that are being written

extension Reconciler {
    /// On stores that want parts of one size, a file that grows begins with so many times larger ones: it cannot change
    /// them later.
    private static let equalPartFactor: Int64 = 8

    /// Sends the parts of a file that are full and were not sent yet, into an upload that ``putParts(_:_:)`` goes on with
    /// when the file is closed; what is written over meanwhile is sent anew then. Returns the size that the file must
    /// exceed before there is more to send.
    ///
    /// Full is what has no hole before it: a file that is made large first and filled then, in whatever order, would be
    /// sent as zeros. Of a file that stands on an object, the parts behind that object's end go ahead: what is changed in
    /// place may be changed again.
    func stream(_ number: InodeNumber, to key: ObjectKey, _ progress: UploadProgress) async throws -> Int64 {
        let file = try cache.acquire(number)
        defer { cache.release(file) }
        let version = file.version
        guard file.isComplete, version.size > settings.singlePutLimit else {
            return max(version.size, settings.singlePutLimit)
        }
        // After a power cut this machine must not have less than it sent.
        try await cache.makeDurableAside(file)
        let end = try file.contiguousEnd
        // An upload without a part would be left open by a file that is closed as it was sent.
        guard end > settings.singlePutLimit, end - (file.base?.size ?? 0) >= settings.partSize else {
            return version.size
        }
        guard let record = try await growingUpload(of: file, to: key),
            let plan = PartPlan(size: end, partSize: record.partSize, limits: store.multipartLimits)
        else { return .max }
        do {
            try await sendFull(plan, record, of: file, progress)
        } catch let error as StoreError where error.kind == .noSuchUpload {
            return try forgetVanished(record, of: number) ? settings.singlePutLimit : .max
        } catch let error as StoreError
            where [.localFault, .corrupted].contains(error.kind) && file.version.rewrites != version.rewrites
        {
            // It was cut, or written over, while it was read.
        }
        return max(version.size, plan.place(of: plan.fullCount + 1).upperBound - 1)
    }

    private func sendFull(
        _ plan: PartPlan, _ record: MultipartRecord, of file: CachedFile, _ progress: UploadProgress
    ) async throws {
        let known = Set(try journal.read { try $0.parts(of: file.inode) }.map(\.part.number))
        let base = file.base?.size ?? 0
        let full = (1..<plan.fullCount + 1).filter { plan.range($0).lowerBound >= base }
        progress.start(total: file.version.size)
        progress.skip(full.filter(known.contains).reduce(0) { $0 + plan.range($1).length })
        let multipart = Multipart(record: record, plan: plan)
        _ = try await sendParts(full.filter { !known.contains($0) }, multipart, of: file, progress) {
            // It may have been renamed, closed or deleted.
            try journal.read { try $0.multipart(of: file.inode) } == record
        }
    }

    /// The upload that is under way to `key`, or a new one. Nil if one has an unknown outcome, which is settled when the
    /// file is closed.
    private func growingUpload(of file: CachedFile, to key: ObjectKey) async throws -> MultipartRecord? {
        let number = file.inode
        if let record = try journal.read({ try $0.multipart(of: number) }) {
            if record.key == key, !record.isBeingCreated { return record }
            try await dropMultipart(of: number)
        }
        guard let inode = try journal.inode(number), inode.linkCount > 0 else { return nil }
        // One token for all that may come to lie at the key.
        let token = inode.attempt.flatMap { $0.key == key ? $0.token : nil } ?? makeToken()
        var attributes = try journal.read { try $0.posixMetadata(of: inode) }
        attributes.modified = file.status.modified
        attributes.uploadToken = token
        let limits = store.multipartLimits
        let wish = settings.partSize * (limits.hasEqualParts ? Self.equalPartFactor : 1)
        guard let plan = PartPlan(size: file.version.size, limits: limits, preferred: wish) else { return nil }
        return try await createMultipart(
            MultipartRecord(key: key, id: UploadID(""), partSize: plan.partSize, token: token),
            attributes.limited(to: settings.metadata).encoded, of: number)
    }

    /// The store does not know the upload. False if it may have been completed: then what is at the key tells.
    private func forgetVanished(_ record: MultipartRecord, of number: InodeNumber) throws -> Bool {
        try journal.write { transaction in
            guard try transaction.inode(number)?.attempt == nil, try transaction.multipart(of: number) == record else {
                return false
            }
            try transaction.removeMultipart(of: number)
            return true
        }
    }
}

import Cache
import ObjectStore
import Platform

// MARK: Creating uploads in parts

extension Reconciler {
    /// Creates an upload that `record`, without an id, describes; returns it with its id.
    ///
    /// The intention is journaled first: an upload whose id was lost with the answer, or with this process, would stay in
    /// the store for ever, and is looked for when the record is dropped.
    func createMultipart(
        _ record: MultipartRecord, _ metadata: [String: String], of number: InodeNumber
    ) async throws -> MultipartRecord {
        try journal.write { try $0.setMultipart(record, of: number) }
        var record = record
        do {
            record.id = try await store.createMultipartUpload(record.key, metadata: metadata)
        } catch {
            if !error.mayHaveTakenEffect { try journal.write { try $0.removeMultipart(of: number) } }
            throw error
        }
        try journal.write { [record] in try $0.setMultipart(record, of: number) }
        return record
    }

    /// Aborts uploads to a key that this machine may have created without learning their ids: those that the journal
    /// does not know and that have no part, also after a while. Another machine's has one by then; if not, it begins
    /// anew, and loses nothing.
    func abortStrays(of key: ObjectKey) async throws {
        let found: [UploadID]
        do {
            found = try await store.openMultipartUploads(of: key)
        } catch {
            guard !error.isTransient && error.kind != .cancelled else { throw error }
            logger.warning(
                "uploads whose ids were lost cannot be looked for, and stay in the bucket",
                metadata: ["key": "\(key)", "error": "\(error)"]
            )
            return
        }
        let known = try journal.read { try $0.multipartIDs(of: key) }
        var strays: [UploadID] = []
        for id in found where !known.contains(id) {
            if try await hasNoPart(id, of: key) { strays.append(id) }
        }
        guard !strays.isEmpty else { return }
        try await time.sleep(for: settings.strayPause)
        for id in strays where try await hasNoPart(id, of: key) {
            try await store.abortMultipartUpload(key, upload: id)
        }
    }

    private func hasNoPart(_ id: UploadID, of key: ObjectKey) async throws -> Bool {
        do {
            return try await store.listParts(key, upload: id).isEmpty
        } catch {
            guard error.kind == .noSuchUpload else { throw error }
            return false
        }
    }

    /// Whether an ETag of the form that S3 gives to objects in parts (the MD5 of the parts' MD5s) is that of these.
    /// True where that cannot be told: other forms, and parts whose ETags are no MD5s (encryption by KMS).
    static func isMade(_ etag: ETag, of parts: [PartRecord]) -> Bool {
        let pieces = etag.value.split(separator: "-")
        guard pieces.count == 2, ETag(String(pieces[0])).md5Hex != nil, pieces[1] == "\(parts.count)",
            parts.allSatisfy({ $0.part.md5 != nil && $0.part.etag.md5Hex == $0.part.md5 })
        else { return true }
        let digests = parts.flatMap { bytes(ofHex: $0.part.md5 ?? "") }
        return Checksum.hex(Checksum.digest(.md5, of: digests)) == pieces[0]
    }

    private static func bytes(ofHex text: String) -> [UInt8] {
        let digits = text.compactMap { $0.hexDigitValue }
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

extension StoreError {
    /// Whether the store may have done what was asked, though it did not say so.
    fileprivate var mayHaveTakenEffect: Bool {
        switch kind {
        case .unreachable, .serverFault, .badAnswer, .cancelled, .untrusted: true
        default: false
        }
    }
}

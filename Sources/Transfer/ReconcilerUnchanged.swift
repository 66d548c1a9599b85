import Cache
import ObjectStore
import Synchronization

// MARK: What did not change of a large object

extension Reconciler {
    /// Whether bytes of a changed file that are not local need not be fetched to be sent: the store has them, at their
    /// places.
    func mayStayPartial(_ file: CachedFile) -> Bool { mayCopyParts(of: file.base) && file.hasWholeBase }

    /// S3 copies ranges of objects only that are larger than its smallest part.
    private func mayCopyParts(of base: RemoteObject?) -> Bool {
        partCopies.areExpected && base.map { $0.size > store.multipartLimits.minimumPartSize } == true
    }

    /// Whether the bytes of a part are those of the object that the file stands on without a look at them.
    func isUntouched(_ range: Range<Int64>, of file: CachedFile) -> Bool {
        file.isUntouched(range) || file.missing(in: range) == [range]
    }

    /// Has the store copy a part whose bytes are those of the object that the file stands on. Nil if they are not, or the
    /// store cannot: then the part is to be sent.
    ///
    /// The fingerprint is of before the bytes were found to be the object's: programs may write meanwhile, and what they
    /// write must not count as copied.
    func copyUnchanged(
        _ number: Int, _ range: Range<Int64>, _ upload: MultipartRecord, of file: CachedFile
    ) async throws -> PartRecord? {
        guard let base = file.base, mayCopyParts(of: base) else { return nil }
        let fingerprint = file.missing(in: range).isEmpty ? file.fingerprint(of: range) : nil
        guard try isUntouched(range, of: file) || file.isAsInBase(range, fingerprint) else { return nil }
        do {
            let part = try await store.copyPart(
                from: base.key, sourceETag: base.etag, range: range, to: upload.key, upload: upload.id, number: number)
            return PartRecord(part: part, fingerprint: fingerprint)
        } catch {
            // Of an object that is another by now, the completion tells.
            if error.isOutdated { return nil }
            guard Self.meansNever(error) else { throw error }
            partCopies.failed()
            logger.notice(
                "the store does not copy parts of objects: large files that are changed are sent whole",
                metadata: ["error": "\(error)"])
            return nil
        }
    }

    private static func meansNever(_ error: StoreError) -> Bool {
        switch error.kind {
        case .unsupported, .refused, .accessDenied, .invalidRange, .badAnswer: true
        default: false
        }
    }
}

/// Whether it is worth asking a store to copy a part.
///
/// Thread rule: any thread.
final class PartCopies: Sendable {
    private let hasFailed = Atomic<Bool>(false)

    var areExpected: Bool { !hasFailed.load(ordering: .relaxed) }

    func failed() { hasFailed.store(true, ordering: .relaxed) }
}

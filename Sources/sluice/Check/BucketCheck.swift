import Foundation
import ObjectStore

/// What a mount needs of the bucket, found out by doing it with objects of a few bytes.
///
/// What the keys may do and what the server can are one question here: an operation that fails is not there.
struct BucketCheck {
    let bucket: Bucket
    let source: SourceURL
    let isReadOnly: Bool
    /// For the first answer.
    let timeout: Duration
    /// A hidden name of its own, so that nothing of anybody is touched.
    private let key = ObjectKey(".sluice-check-\(UUID().uuidString.lowercased())")
    private let second: ObjectKey
    private let content = FixedSource(Array("sluice check\n".utf8))

    init(bucket: Bucket, source: SourceURL, isReadOnly: Bool, timeout: Duration) {
        self.bucket = bucket
        self.source = source
        self.isReadOnly = isReadOnly
        self.timeout = timeout
        second = ObjectKey(key.string + "-copy")
    }

    func run(_ report: inout CheckReport) async {
        for warning in bucket.warnings { report.add(.note, warning) }
        if let error = await bucket.failure(within: timeout) {
            return report.add(.bad, StoreFactory.advice(on: error, source: source))
        }
        report.add(.good, "bucket: reached, credentials and clock accepted, may be listed")
        await NamesCheck(store: bucket.store).run(&report)
        if isReadOnly { return report.add(.note, "writing was not tried") }
        guard let etag = await checkWriting(&report) else { return }
        await checkReading(etag, &report)
        await checkCopying(&report)
        await checkConditions(&report)
        await checkParts(&report)
        await checkDeleting(&report)
    }

    private func checkWriting(_ report: inout CheckReport) async -> ETag? {
        do {
            let etag = try await bucket.store.put(
                key,
                body: content,
                metadata: ["sluice-check": "1"],
                condition: .none
            )
            report.add(.good, "objects can be written")
            return etag
        } catch {
            report.add(.bad, "objects cannot be written: \(error); grant s3:PutObject, or mount with --read-only")
            return nil
        }
    }

    private func checkReading(_ etag: ETag, _ report: inout CheckReport) async {
        do {
            let info = try await bucket.store.head(key)
            let sink = CollectedBytes()
            _ = try await bucket.store.get(key, range: 7..<12, ifMatch: etag, into: sink)
            guard info.size == content.count, sink.bytes == Array("check".utf8) else {
                return report.add(.bad, "the store gives back other bytes than it was sent")
            }
            let keeps = info.metadata["sluice-check"] == "1"
            report.add(.good, "ranges of objects can be read")
            report.add(
                keeps ? .good : .note,
                keeps
                    ? "metadata are kept: permissions, times and links survive"
                    : "the store drops user metadata: "
                        + "permissions, times and symbolic links are not kept in the bucket"
            )
        } catch {
            report.add(.bad, "objects cannot be read: \(error); grant s3:GetObject")
        }
    }

    /// All must be refused with "precondition failed"; a store that ignores conditions takes them.
    private func checkConditions(_ report: inout CheckReport) async {
        let (store, key, content) = (bucket.store, key, content)
        let other = ETag(String(repeating: "0", count: 32))
        var ignored: [String] = []
        if await !isRefused({ _ = try await store.put(key, body: content, metadata: [:], condition: .ifAbsent) }) {
            ignored.append("If-None-Match on writes")
        }
        if await !isRefused({ _ = try await store.put(key, body: content, metadata: [:], condition: .ifMatch(other)) })
        {
            ignored.append("If-Match on writes")
        }
        let isCopyRefused = await isRefused {
            let current = try await store.head(key).etag
            _ = try await store.copy(
                from: key, sourceETag: current, to: key, metadata: ["sluice-check": "1"], condition: .ifAbsent)
        }
        if !isCopyRefused { ignored.append("If-None-Match on copies") }
        if await !isRefused({ try await store.delete(key, ifMatch: other) }) { ignored.append("If-Match on deletions") }
        guard !ignored.isEmpty else {
            return report.add(.good, "conditional writes work: changes by others are never overwritten unseen")
        }
        report.add(
            .note,
            "the store does not honour \(ignored.joined(separator: ", ")): it is asked first instead, and a change that "
                + "another writer makes at the same moment may be overwritten"
        )
    }

    private func isRefused(_ write: () async throws -> Void) async -> Bool {
        do {
            try await write()
            return false
        } catch {
            let kind = (error as? StoreError)?.kind
            return kind == .preconditionFailed || kind == .conflict
        }
    }

    private func checkCopying(_ report: inout CheckReport) async {
        do {
            let current = try await bucket.store.head(key).etag
            _ = try await bucket.store.copy(
                from: key,
                sourceETag: current,
                to: second,
                metadata: nil,
                condition: .none
            )
            report.add(.good, "objects can be copied on the server: renaming moves no data")
        } catch {
            report.add(.note, "objects cannot be copied on the server (\(error)): renaming sends files again")
        }
    }

    private func checkParts(_ report: inout CheckReport) async {
        let store = bucket.store
        do {
            let upload = try await store.createMultipartUpload(second, metadata: [:])
            do {
                let part = try await store.uploadPart(second, upload: upload, number: 1, body: content)
                _ = try await store.completeMultipartUpload(second, upload: upload, parts: [part], condition: .none)
                report.add(.good, "large files can be sent in parts")
            } catch {
                try? await store.abortMultipartUpload(second, upload: upload)
                throw error
            }
        } catch {
            report.add(.bad, "large files cannot be sent in parts: \(error)")
        }
    }

    private func checkDeleting(_ report: inout CheckReport) async {
        do {
            for key in [key, second] { try await bucket.store.delete(key, ifMatch: nil) }
            report.add(.good, "objects can be deleted")
        } catch {
            report.add(
                .bad,
                "objects cannot be deleted: \(error); grant s3:DeleteObject, and delete \(key) and \(second)"
            )
        }
    }
}

import Platform

/// A local directory as the bucket (`file:///DIRECTORY`): the object `a/b` is the file `a/b` with the same bytes.
///
/// Files that other programs put there are objects too. Keys that no path can carry, and what the store needs for
/// itself, lie below `.sluice-store` (``DirectoryLayout``). Symbolic links, pipes and devices are no objects and are
/// never followed or replaced. Any number of processes may use one directory; conditions hold among those that use
/// this store. A write is durable when its call returns. All file calls run on a small pool of threads of their own.
public final class DirectoryStore: ObjectStore {
    /// Where the ETags and metadata of objects are kept.
    public enum RecordPlace: Sendable {
        /// Extended attributes of the files (`user.sluice.object`), sidecar files where there are none.
        case attributes
        /// Sidecar files, for directories whose attributes get lost.
        case sidecars
    }

    public let multipartLimits: MultipartLimits
    private let objects: DirectoryObjects
    private let uploads: DirectoryUploads
    private let pausedListings = PausedListings()
    private let time: any TimeSource
    private let pool = BlockingPool(label: "sluice.directory-store", width: 8)

    /// Opens an existing directory and leaves it untouched until the first write. Throws `.noSuchBucket` if there is
    /// none, `.accessDenied` if it may not be read.
    public init(
        path: String, records: RecordPlace = .attributes, time: any TimeSource = SystemTime(),
        multipartLimits: MultipartLimits = .s3
    ) throws(StoreError) {
        let tree = try performing { () throws(SystemFault) in try FileTree(path: path) }
        objects = DirectoryObjects(tree: tree, usesAttributes: records == .attributes)
        uploads = DirectoryUploads(objects)
        self.time = time
        self.multipartLimits = multipartLimits
        do {
            try TemporaryFile.sweep(tree, now: time.wall.nanoseconds)
        } catch let error where error.isRefusal {
            // A directory that may only be read.
        } catch {
            throw StoreError(error)
        }
    }

    public func head(_ key: ObjectKey) async throws(StoreError) -> ObjectInfo {
        try await pool.run { [self] _ throws(StoreError) in try find(key).info }
    }

    public func get(
        _ key: ObjectKey, range: Range<Int64>?, ifMatch: ETag?, into sink: any ByteSink
    ) async throws(StoreError) -> ObjectInfo {
        try await pool.run { [self] cancellation throws(StoreError) in
            let found = try find(key, version: ifMatch)
            let range = try Self.clip(range, to: found.info)
            do {
                try sink.begin(found.info)
            } catch {
                throw StoreError(.localFault, message: "the answer could not be passed on: \(error)")
            }
            try DirectoryBytes.send(range, of: found.file, to: sink, cancellation)
            try checkUnchanged(found)
            return found.info
        }
    }

    public func put(
        _ key: ObjectKey, body: any ByteSource, metadata: [String: String], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try check(key, metadata)
        try check(size: body.count)
        return try await pool.run { [self] cancellation throws(StoreError) in
            if body.count == 0,
                try objects.commitMarker(key, metadata: metadata, now: time.wall, condition: condition)
            {
                return DirectoryObjects.emptyETag
            }
            let temporary = try makeTemporary()
            let etag = ETag(try DirectoryBytes.receive(body, into: temporary.file, cancellation))
            try objects.commit(temporary, as: key, etag: etag, metadata: metadata, condition: condition)
            return etag
        }
    }

    public func list(
        prefix: String, delimiter: String?, continuation: String?, limit: Int
    ) async throws(StoreError) -> ListPage {
        let scope = try ListingScope(prefix: prefix, delimiter: delimiter, continuation: continuation)
        return try await pool.run { [self] cancellation throws(StoreError) in
            let request = continuation.map {
                PausedListings.Request(prefix: prefix, delimiter: delimiter, continuation: $0)
            }
            var listing = try resume(request, scope)
            let page = try listing.makePage(limit: min(max(limit, 1), 1000), cancellation)
            if let next = page.continuation {
                pausedListings.keep(listing, for: .init(prefix: prefix, delimiter: delimiter, continuation: next))
            }
            return page
        }
    }

    public func delete(_ key: ObjectKey, ifMatch: ETag?) async throws(StoreError) {
        try check(key, [:])
        try await pool.run { [objects] _ throws(StoreError) in try objects.remove(key, ifMatch: ifMatch) }
    }

    public func delete(_ keys: [ObjectKey]) async throws(StoreError) -> [ObjectKey: StoreError] {
        guard keys.count <= 1000 else { throw StoreError(.refused, message: "more than 1000 keys in one request") }
        return try await pool.run { [objects] cancellation throws(StoreError) in
            var failures: [ObjectKey: StoreError] = [:]
            for key in keys {
                try cancellation.check()
                do throws(StoreError) {
                    try objects.remove(key, ifMatch: nil)
                } catch {
                    failures[key] = error
                }
            }
            return failures
        }
    }

    public func copy(
        from source: ObjectKey, sourceETag: ETag, to destination: ObjectKey, metadata: [String: String]?,
        condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try check(destination, metadata ?? [:])
        return try await pool.run { [self] cancellation throws(StoreError) in
            let found = try find(source, version: sourceETag)
            try check(size: found.info.size)
            let metadata = metadata ?? found.info.metadata
            if found.isMarker,
                try objects.commitMarker(destination, metadata: metadata, now: time.wall, condition: condition)
            {
                return DirectoryObjects.emptyETag
            }
            let temporary = try makeTemporary()
            if !found.isMarker {
                try DirectoryBytes.copy(0..<found.info.size, of: found.file, to: temporary.file, at: 0, cancellation)
                try checkUnchanged(found)
            }
            // The tag that a file of another program has says nothing of its content.
            let etag: ETag
            if let recorded = found.record?.etag {
                etag = recorded
            } else {
                etag = ETag(try DirectoryBytes.md5(of: temporary.file, found.info.size, cancellation))
            }
            try objects.commit(temporary, as: destination, etag: etag, metadata: metadata, condition: condition)
            return etag
        }
    }

    // MARK: Helpers

    private func resume(
        _ request: PausedListings.Request?, _ scope: ListingScope
    ) throws(StoreError) -> DirectoryListing {
        try performing { () throws(SystemFault) in
            if let request, let paused = pausedListings.take(request), try paused.isCurrent() { return paused }
            return try DirectoryListing(objects, scope: scope, now: time.wall.nanoseconds)
        }
    }

    private func find(_ key: ObjectKey, version: ETag? = nil) throws(StoreError) -> DirectoryObjects.Found {
        try check(key, [:])
        let found = try performing { () throws(SystemFault) in try objects.find(key) }
        guard let found else { throw StoreError.notFound(key) }
        if let version, found.info.etag != version { throw StoreError.conditionFailed(key) }
        return found
    }

    /// Objects of the store are never rewritten in place; files of other programs may be.
    private func checkUnchanged(_ found: DirectoryObjects.Found) throws(StoreError) {
        guard !found.isMarker else { return }
        let now = try performing { () throws(SystemFault) in try found.file.status() }
        if !now.hasContent(of: found.status) { throw DirectoryBytes.changedMeanwhile }
    }

    private func makeTemporary() throws(StoreError) -> TemporaryFile {
        try performing { () throws(SystemFault) in try TemporaryFile(in: objects.tree) }
    }

    // MARK: Multipart

    public func createMultipartUpload(
        _ key: ObjectKey, metadata: [String: String]
    ) async throws(StoreError) -> UploadID {
        try check(key, metadata)
        return try await pool.run { [uploads] _ throws(StoreError) in
            try performing { () throws(SystemFault) in try uploads.create(key, metadata: metadata) }
        }
    }

    public func uploadPart(
        _ key: ObjectKey, upload: UploadID, number: Int, body: any ByteSource
    ) async throws(StoreError) -> UploadedPart {
        try check(size: body.count, ofPart: number)
        return try await pool.run { [self] cancellation throws(StoreError) in
            _ = try uploads.find(upload, of: key)
            let temporary = try makeTemporary()
            let md5 = try DirectoryBytes.receive(body, into: temporary.file, cancellation)
            try performing { () throws(SystemFault) in try temporary.file.synchronize() }
            return try uploads.add(temporary, number: number, md5: md5, to: upload, of: key)
        }
    }

    public func copyPart(
        from source: ObjectKey, sourceETag: ETag, range: Range<Int64>, to key: ObjectKey, upload: UploadID,
        number: Int
    ) async throws(StoreError) -> UploadedPart {
        try check(size: range.length, ofPart: number)
        return try await pool.run { [self] cancellation throws(StoreError) in
            _ = try uploads.find(upload, of: key)
            let found = try find(source, version: sourceETag)
            guard !range.isEmpty, range.lowerBound >= 0, range.upperBound <= found.info.size else {
                throw StoreError(.invalidRange, code: "InvalidArgument", message: "\(range) is outside \(source)")
            }
            let temporary = try makeTemporary()
            try DirectoryBytes.copy(range, of: found.file, to: temporary.file, at: 0, cancellation)
            try checkUnchanged(found)
            let md5 = try DirectoryBytes.md5(of: temporary.file, range.length, cancellation)
            try performing { () throws(SystemFault) in try temporary.file.synchronize() }
            return try uploads.add(temporary, number: number, md5: md5, to: upload, of: key)
        }
    }

    public func listParts(_ key: ObjectKey, upload: UploadID) async throws(StoreError) -> [UploadedPart] {
        try await pool.run { [uploads] _ throws(StoreError) in
            let directory = try uploads.find(upload, of: key).directory
            return try performing { () throws(SystemFault) in try uploads.parts(in: directory).map(\.described) }
        }
    }

    public func completeMultipartUpload(
        _ key: ObjectKey, upload: UploadID, parts: [UploadedPart], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try await pool.run { [self] cancellation throws(StoreError) in
            let (open, directory) = try uploads.find(upload, of: key)
            let held = try performing { () throws(SystemFault) in try uploads.parts(in: directory) }
            let chosen = try choose(parts, from: held)
            let temporary = try makeTemporary()
            var size: Int64 = 0
            for part in chosen {
                let whole = 0..<part.described.size
                try DirectoryBytes.copy(whole, of: part.file, to: temporary.file, at: size, cancellation)
                size += part.described.size
            }
            let etag = Self.multipartETag(of: chosen.map(\.described.etag))
            try objects.commit(temporary, as: key, etag: etag, metadata: open.metadata, condition: condition)
            try performing { () throws(SystemFault) in try uploads.remove(upload) }
            return etag
        }
    }

    public func openMultipartUploads(of key: ObjectKey) async throws(StoreError) -> [UploadID] {
        try await pool.run { [uploads] _ throws(StoreError) in
            try performing { () throws(SystemFault) in try uploads.open(of: key) }
        }
    }

    public func abortMultipartUpload(_ key: ObjectKey, upload: UploadID) async throws(StoreError) {
        try await pool.run { [uploads] _ throws(StoreError) in
            do throws(StoreError) {
                _ = try uploads.find(upload, of: key)
            } catch {
                guard error.kind == .noSuchUpload else { throw error }
                return
            }
            try performing { () throws(SystemFault) in try uploads.remove(upload) }
        }
    }
}

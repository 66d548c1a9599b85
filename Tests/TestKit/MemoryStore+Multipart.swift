import ObjectStore

/// Multipart uploads of a ``MemoryStore``.
extension MemoryStore {
    public func createMultipartUpload(
        _ key: ObjectKey, metadata: [String: String]
    ) async throws(StoreError) -> UploadID {
        try checkCancellation()
        try Self.check(key)
        return state.withLock { state in
            state.uploadCount += 1
            let upload = UploadID("upload-\(state.uploadCount)")
            state.uploads[upload] = Upload(key: key, metadata: metadata)
            return upload
        }
    }

    public func uploadPart(
        _ key: ObjectKey, upload: UploadID, number: Int, body: any ByteSource
    ) async throws(StoreError) -> UploadedPart {
        try checkCancellation()
        let bytes = try Self.contents(body)
        return try state.withLock { state throws(StoreError) in
            try addPart(bytes, number: number, of: upload, key, in: &state)
        }
    }

    public func copyPart(
        from source: ObjectKey, sourceETag: ETag, range: Range<Int64>, to key: ObjectKey, upload: UploadID,
        number: Int
    ) async throws(StoreError) -> UploadedPart {
        try checkCancellation()
        return try state.withLock { state throws(StoreError) in
            let object = try Self.find(source, version: sourceETag, in: state)
            guard !range.isEmpty, range.lowerBound >= 0, range.upperBound <= object.info.size else {
                throw StoreError(.invalidRange, code: "InvalidArgument", message: "\(range) is outside \(source)")
            }
            let bytes = Array(object.bytes[Int(range.lowerBound)..<Int(range.upperBound)])
            return try addPart(bytes, number: number, of: upload, key, in: &state)
        }
    }

    public func listParts(_ key: ObjectKey, upload: UploadID) async throws(StoreError) -> [UploadedPart] {
        try checkCancellation()
        return try state.withLock { state throws(StoreError) in
            let parts = try Self.find(upload, of: key, in: state).parts
            return parts.keys.sorted().compactMap { number in
                parts[number].map { Self.describe(number, $0.bytes, $0.md5) }
            }
        }
    }

    public func completeMultipartUpload(
        _ key: ObjectKey, upload: UploadID, parts: [UploadedPart], condition: WriteCondition
    ) async throws(StoreError) -> ETag {
        try checkCancellation()
        return try state.withLock { state throws(StoreError) in
            let open = try Self.find(upload, of: key, in: state)
            try check(parts, of: open)
            try Self.check(condition, on: key, in: state)
            let chosen = parts.compactMap { open.parts[$0.number] }
            let digest = Checksum.hex(Checksum.digest(.md5, of: chosen.flatMap(\.md5)))
            let etag = ETag("\(digest)-\(parts.count)")
            state.uploads[upload] = nil
            return store(key, chosen.flatMap(\.bytes), open.metadata, etag, in: &state)
        }
    }

    public func openMultipartUploads(of key: ObjectKey) async throws(StoreError) -> [UploadID] {
        try checkCancellation()
        return state.withLock { state in
            state.uploads.filter { $0.value.key == key }.keys.sorted { $0.value < $1.value }
        }
    }

    public func abortMultipartUpload(_ key: ObjectKey, upload: UploadID) async throws(StoreError) {
        try checkCancellation()
        state.withLock { state in
            if state.uploads[upload]?.key == key { state.uploads[upload] = nil }
        }
    }

    private static func find(_ upload: UploadID, of key: ObjectKey, in state: State) throws(StoreError) -> Upload {
        guard let open = state.uploads[upload], open.key == key else {
            throw StoreError(.noSuchUpload, code: "NoSuchUpload", message: "no upload \(upload) of \(key)")
        }
        return open
    }

    private static func describe(_ number: Int, _ bytes: [UInt8], _ md5: [UInt8]) -> UploadedPart {
        UploadedPart(
            number: number, etag: ETag(Checksum.hex(md5)), size: Int64(bytes.count), md5: Checksum.hex(md5))
    }

    private func addPart(
        _ bytes: [UInt8], number: Int, of upload: UploadID, _ key: ObjectKey, in state: inout State
    ) throws(StoreError) -> UploadedPart {
        _ = try Self.find(upload, of: key, in: state)
        guard (1...multipartLimits.maximumPartCount).contains(number) else {
            throw StoreError(.refused, code: "InvalidArgument", message: "part number \(number)")
        }
        guard bytes.count <= multipartLimits.maximumPartSize else {
            throw StoreError(.tooLarge, code: "EntityTooLarge", message: "part \(number) of \(key)")
        }
        let md5 = Checksum.digest(.md5, of: bytes)
        state.uploads[upload]?.parts[number] = (bytes, md5)
        return Self.describe(number, bytes, md5)
    }

    private func check(_ parts: [UploadedPart], of open: Upload) throws(StoreError) {
        guard !parts.isEmpty else {
            throw StoreError(.refused, code: "MalformedXML", message: "an upload of no parts")
        }
        guard zip(parts, parts.dropFirst()).allSatisfy({ $0.number < $1.number }) else {
            throw StoreError(.invalidPart, code: "InvalidPartOrder", message: "parts must ascend by number")
        }
        for (index, part) in parts.enumerated() {
            guard let held = open.parts[part.number], Checksum.hex(held.md5) == part.etag.value else {
                throw StoreError(.invalidPart, code: "InvalidPart", message: "no such part \(part.number)")
            }
            guard index == parts.count - 1 || held.bytes.count >= multipartLimits.minimumPartSize else {
                throw StoreError(.invalidPart, code: "EntityTooSmall", message: "part \(part.number) is too small")
            }
        }
    }
}

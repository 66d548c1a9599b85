import ObjectStore
import Testing

/// Multipart uploads and part copies, with parts of the smallest size that the store takes.
extension StoreConformance {
    private var partSize: Int { Int(store.multipartLimits.minimumPartSize) }

    private func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        return random.bytes(count)
    }

    private func begin(_ name: String, metadata: [String: String] = [:]) async throws -> UploadID {
        try await store.createMultipartUpload(key(name), metadata: metadata)
    }

    private func send(_ name: String, _ upload: UploadID, _ number: Int, _ bytes: [UInt8]) async throws -> UploadedPart
    {
        let part = try await store.uploadPart(
            key(name), upload: upload, number: number, body: MemoryByteSource(bytes))
        #expect(part.number == number && part.size == Int64(bytes.count))
        return part
    }

    private func complete(
        _ name: String, _ upload: UploadID, _ parts: [UploadedPart], _ condition: WriteCondition = .none
    ) async throws -> ETag {
        try await store.completeMultipartUpload(key(name), upload: upload, parts: parts, condition: condition)
    }

    /// What a listing tells of a part.
    private struct Part: Equatable {
        var number: Int
        var etag: ETag
        var size: Int64

        init(_ part: UploadedPart) { (number, etag, size) = (part.number, part.etag, part.size) }
    }

    private func listParts(_ name: String, _ upload: UploadID) async throws -> [Part] {
        try await store.listParts(key(name), upload: upload).map(Part.init)
    }

    func multipartBecomesOneObject() async throws {
        let first = randomBytes(partSize, seed: 1)
        let last = randomBytes(12_345, seed: 2)
        let upload = try await begin("dir/big", metadata: ["mode": "33188"])
        let lastPart = try await send("dir/big", upload, 7, last)
        let firstPart = try await send("dir/big", upload, 2, first)
        #expect(try await listParts("dir/big", upload) == [firstPart, lastPart].map(Part.init))
        await expect(.notFound) { _ = try await store.head(key("dir/big")) }
        #expect(try await listAll().names.isEmpty)

        let etag = try await complete("dir/big", upload, [firstPart, lastPart])
        let info = try await store.head(key("dir/big"))
        #expect(info.etag == etag && info.metadata == ["mode": "33188"])
        #expect(info.size == Int64(first.count + last.count))
        #expect(try await bytes("dir/big", ifMatch: etag) == first + last)
        await expect(.noSuchUpload) { _ = try await store.listParts(key("dir/big"), upload: upload) }
    }

    func aPartSentAgainReplacesTheFormer() async throws {
        let upload = try await begin("file")
        let former = try await send("file", upload, 1, Array("former".utf8))
        let latter = try await send("file", upload, 1, Array("latter".utf8))
        #expect(try await listParts("file", upload) == [Part(latter)])
        await expect(.invalidPart) { _ = try await complete("file", upload, [former]) }
        _ = try await complete("file", upload, [latter])
        #expect(try await text("file") == "latter")
    }

    func completeTakesOnlyTheNamedParts() async throws {
        let upload = try await begin("file")
        let wanted = try await send("file", upload, 1, Array("wanted".utf8))
        _ = try await send("file", upload, 2, Array("left over".utf8))
        _ = try await complete("file", upload, [wanted])
        #expect(try await text("file") == "wanted")
    }

    func completeRefusesWrongParts() async throws {
        let upload = try await begin("file")
        let first = try await send("file", upload, 1, Array("small".utf8))
        let second = try await send("file", upload, 2, Array("small".utf8))
        let absent = UploadedPart(number: 3, etag: first.etag, size: first.size)
        await expect(.invalidPart) { _ = try await complete("file", upload, [first, absent]) }
        await expect(.invalidPart) { _ = try await complete("file", upload, [second, first]) }
        await expect(.invalidPart) { _ = try await complete("file", upload, [first, second]) }
        await expect(.notFound) { _ = try await store.head(key("file")) }
        _ = try await complete("file", upload, [second])
        #expect(try await text("file") == "small")
    }

    func completeIfAbsent() async throws {
        let upload = try await begin("file")
        let part = try await send("file", upload, 1, Array("by parts".utf8))
        try await put("file", "meanwhile")
        await expect(.preconditionFailed) { _ = try await complete("file", upload, [part], .ifAbsent) }
        #expect(try await text("file") == "meanwhile")
        try await store.abortMultipartUpload(key("file"), upload: upload)

        let other = try await begin("other")
        let otherPart = try await send("other", other, 1, Array("by parts".utf8))
        _ = try await complete("other", other, [otherPart], .ifAbsent)
        #expect(try await text("other") == "by parts")
    }

    func completeIfMatch() async throws {
        let old = try await put("file", "old")
        let upload = try await begin("file")
        let part = try await send("file", upload, 1, Array("by parts".utf8))
        let new = try await put("file", "new")
        await expect(.preconditionFailed) { _ = try await complete("file", upload, [part], .ifMatch(old)) }
        #expect(try await text("file") == "new")
        try await store.abortMultipartUpload(key("file"), upload: upload)

        let again = try await begin("file")
        let againPart = try await send("file", again, 1, Array("by parts".utf8))
        _ = try await complete("file", again, [againPart], .ifMatch(new))
        #expect(try await text("file") == "by parts")
    }

    func abortedUploadsAreGone() async throws {
        let upload = try await begin("file")
        let part = try await send("file", upload, 1, Array("bytes".utf8))
        try await store.abortMultipartUpload(key("file"), upload: upload)
        try await store.abortMultipartUpload(key("file"), upload: upload)
        await expect(.noSuchUpload) { _ = try await complete("file", upload, [part]) }
        await expect(.noSuchUpload) { _ = try await send("file", upload, 2, Array("late".utf8)) }
        await expect(.noSuchUpload) { _ = try await store.listParts(key("file"), upload: upload) }
        #expect(try await listAll().names.isEmpty)
    }

    func partCopyJoinsOldAndNewBytes() async throws {
        let old = randomBytes(partSize + 1000, seed: 3)
        let oldETag = try await store.put(key("old"), body: MemoryByteSource(old), metadata: [:], condition: .none)
        let upload = try await begin("new")
        let copied = try await store.copyPart(
            from: key("old"), sourceETag: oldETag, range: 500..<Int64(500 + partSize), to: key("new"), upload: upload,
            number: 1)
        #expect(copied.number == 1 && copied.size == Int64(partSize))
        let sent = try await send("new", upload, 2, Array("and new bytes".utf8))
        _ = try await complete("new", upload, [copied, sent])
        #expect(try await bytes("new") == Array(old[500..<500 + partSize]) + Array("and new bytes".utf8))
    }

    func partCopyRefusesAnotherVersionOfTheSource() async throws {
        let old = try await put("source", "old bytes")
        try await put("source", "new bytes")
        let upload = try await begin("target")
        await expect(.preconditionFailed) {
            _ = try await store.copyPart(
                from: key("source"), sourceETag: old, range: 0..<3, to: key("target"), upload: upload, number: 1)
        }
        try await store.abortMultipartUpload(key("target"), upload: upload)
    }
}

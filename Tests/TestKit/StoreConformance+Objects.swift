import ObjectStore
import Testing

/// Single objects: put, get, head, delete, conditions, metadata.
extension StoreConformance {
    func putThenGetGivesTheSameBytes() async throws {
        let etag = try await put("dir/file", "hello")
        #expect(try await text("dir/file") == "hello")
        #expect(try await text("dir/file", ifMatch: etag) == "hello")
        let replaced = try await put("dir/file", "hello again")
        #expect(replaced != etag)
        #expect(try await text("dir/file") == "hello again")
    }

    func headTellsSizeETagAndMetadata() async throws {
        let metadata = ["mode": "33188", "mtime": "1700000000.123456789", "note": "a=b; c:d/e%20f"]
        let etag = try await put("file", "12345", metadata: metadata)
        let info = try await store.head(key("file"))
        #expect(info.key == key("file"))
        #expect(info.size == 5)
        #expect(info.etag == etag)
        #expect(info.metadata == metadata)
        #expect(info.lastModified.seconds > 1_500_000_000)
        let sink = MemoryByteSink()
        #expect(try await store.get(key("file"), range: 1..<2, ifMatch: nil, into: sink) == info)
    }

    func anEmptyObjectIsAnObject() async throws {
        let etag = try await put("empty", "", metadata: ["mode": "1"])
        let info = try await store.head(key("empty"))
        #expect(info.size == 0 && info.etag == etag && info.metadata == ["mode": "1"])
        #expect(try await bytes("empty").isEmpty)
        #expect(try await listAll().names == ["empty"])
        await expect(.invalidRange) { _ = try await bytes("empty", 0..<1) }
    }

    func largeBodiesComeBackWhole() async throws {
        var random = SeededRandom(seed: 1)
        let body = random.bytes((3 << 20) + 17)
        _ = try await store.put(key("big"), body: MemoryByteSource(body), metadata: [:], condition: .none)
        #expect(try await bytes("big") == body)
        let range: Range<Int64> = (1 << 20) - 3..<(2 << 20) + 5
        #expect(try await bytes("big", range) == Array(body[Int(range.lowerBound)..<Int(range.upperBound)]))
    }

    func whatIsNotThereIsNotFound() async throws {
        try await put("dir/file", "x")
        for name in ["nothing", "dir", "dir/", "dir/fil", "dir/file/", "dir/file/below", "no/such/dir"] {
            await expect(.notFound) { _ = try await store.head(key(name)) }
            await expect(.notFound) { _ = try await bytes(name) }
        }
    }

    func rangesAreClippedAtTheEnd() async throws {
        try await put("file", "0123456789")
        #expect(try await text("file", 0..<1) == "0")
        #expect(try await text("file", 9..<10) == "9")
        #expect(try await text("file", 3..<7) == "3456")
        #expect(try await text("file", 5..<1000) == "56789")
        #expect(try await text("file", 0..<1000) == "0123456789")
        let sink = MemoryByteSink()
        let info = try await store.get(key("file"), range: 4..<6, ifMatch: nil, into: sink)
        #expect(info.size == 10)
        #expect(sink.start == 4)
    }

    func rangesOutsideAreRefused() async throws {
        try await put("file", "0123456789")
        await expect(.invalidRange) { _ = try await bytes("file", 10..<11) }
        await expect(.invalidRange) { _ = try await bytes("file", 100..<200) }
    }

    func getIfMatchRefusesAnotherVersion() async throws {
        let old = try await put("file", "old")
        let new = try await put("file", "new")
        await expect(.preconditionFailed) { _ = try await bytes("file", ifMatch: old) }
        await expect(.preconditionFailed) { _ = try await bytes("file", 0..<1, ifMatch: old) }
        #expect(try await text("file", ifMatch: new) == "new")
        try await store.delete(key("file"), ifMatch: nil)
        await expect(.notFound, .preconditionFailed) { _ = try await bytes("file", ifMatch: new) }
    }

    func eTagsFollowTheContent() async throws {
        let first = try await put("file", "one")
        #expect(try await store.head(key("file")).etag == first)
        let second = try await put("file", "two")
        #expect(second != first)
        let listed = try await store.list(prefix: prefix, delimiter: nil, continuation: nil, limit: 10).objects
        #expect(listed.map(\.etag) == [second])
        #expect(listed.map(\.size) == [3])
    }

    func eTagsOfPutsAreMD5() async throws {
        let etag = try await put("file", "hello")
        #expect(etag == ETag("5d41402abc4b2a76b9719d911017c592"))
        #expect(try await put("empty", "") == ETag("d41d8cd98f00b204e9800998ecf8427e"))
    }

    func metadataIsReplacedWithTheObject() async throws {
        try await put("file", "x", metadata: ["a": "1", "b": "2"])
        try await put("file", "x", metadata: ["b": "3"])
        #expect(try await store.head(key("file")).metadata == ["b": "3"])
        try await put("file", "x")
        #expect(try await store.head(key("file")).metadata.isEmpty)
    }

    /// S3 takes 2 KB of names and values (S3 user guide, "Working with object metadata").
    func metadataNearTheLimitIsKept() async throws {
        let metadata = ["xattr": String(repeating: "v", count: 1900), "mode": "33188"]
        try await put("file", "x", metadata: metadata)
        #expect(try await store.head(key("file")).metadata == metadata)
    }

    func putIfAbsent() async throws {
        let etag = try await put("file", "first", .ifAbsent)
        await expect(.preconditionFailed) { _ = try await put("file", "second", .ifAbsent) }
        #expect(try await text("file", ifMatch: etag) == "first")
        try await store.delete(key("file"), ifMatch: nil)
        try await put("file", "third", .ifAbsent)
        #expect(try await text("file") == "third")
    }

    func putIfMatch() async throws {
        let first = try await put("file", "first")
        let second = try await put("file", "second", .ifMatch(first))
        await expect(.preconditionFailed) { _ = try await put("file", "third", .ifMatch(first)) }
        #expect(try await text("file", ifMatch: second) == "second")
        await expect(.preconditionFailed, .notFound) { _ = try await put("absent", "x", .ifMatch(first)) }
        await expect(.notFound) { _ = try await store.head(key("absent")) }
    }

    func oneOfManyConcurrentPutsIfAbsentWins() async throws {
        let winners = try await withThrowingTaskGroup(of: Bool.self) { group in
            for writer in 0..<16 {
                group.addTask {
                    do {
                        try await put("race", "writer \(writer)", .ifAbsent)
                        return true
                    } catch let error as StoreError where [.preconditionFailed, .conflict].contains(error.kind) {
                        return false
                    }
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(winners == 1)
    }

    func deleteIsIdempotent() async throws {
        try await put("dir/sub/file", "x")
        try await store.delete(key("dir/sub/file"), ifMatch: nil)
        try await store.delete(key("dir/sub/file"), ifMatch: nil)
        try await store.delete(key("never"), ifMatch: nil)
        await expect(.notFound) { _ = try await store.head(key("dir/sub/file")) }
        let left = try await listAll(delimiter: "/")
        #expect(left.names.isEmpty && left.groups.isEmpty)
    }

    func deleteIfMatch() async throws {
        let old = try await put("file", "old")
        let new = try await put("file", "new")
        await expect(.preconditionFailed) { try await store.delete(key("file"), ifMatch: old) }
        #expect(try await text("file") == "new")
        try await store.delete(key("file"), ifMatch: new)
        await expect(.notFound) { _ = try await store.head(key("file")) }
    }

    func deleteManyRemovesAll() async throws {
        let names = (0..<20).map { "dir\($0 % 3)/file\($0)" }
        for name in names { try await put(name, name) }
        let failed = try await store.delete(names.dropFirst().map { key($0) } + [key("never")])
        #expect(failed.isEmpty)
        #expect(try await listAll().names == [names[0]])
    }

    func copyKeepsOrReplacesMetadata() async throws {
        let etag = try await put("source", "content", metadata: ["a": "1"])
        _ = try await store.copy(
            from: key("source"), sourceETag: etag, to: key("dir/kept"), metadata: nil, condition: .none)
        #expect(try await text("dir/kept") == "content")
        #expect(try await store.head(key("dir/kept")).metadata == ["a": "1"])
        let replaced = try await store.copy(
            from: key("source"), sourceETag: etag, to: key("replaced"), metadata: ["b": "2"], condition: .none)
        let info = try await store.head(key("replaced"))
        #expect(info.metadata == ["b": "2"] && info.etag == replaced && info.size == 7)
        let inPlace = try await store.copy(
            from: key("source"), sourceETag: etag, to: key("source"), metadata: ["c": "3"], condition: .none)
        let after = try await store.head(key("source"))
        #expect(after.metadata == ["c": "3"] && after.etag == inPlace)
        #expect(try await text("source") == "content")
    }

    func copyRefusesAnotherVersionOfTheSource() async throws {
        let old = try await put("source", "old")
        try await put("source", "new")
        await expect(.preconditionFailed) {
            _ = try await store.copy(
                from: key("source"), sourceETag: old, to: key("target"), metadata: nil, condition: .none)
        }
        await expect(.notFound) { _ = try await store.head(key("target")) }
        await expect(.notFound) {
            _ = try await store.copy(
                from: key("absent"), sourceETag: old, to: key("target"), metadata: nil, condition: .none)
        }
    }

    func copyIfAbsent() async throws {
        let etag = try await put("source", "content")
        _ = try await store.copy(
            from: key("source"), sourceETag: etag, to: key("target"), metadata: nil, condition: .ifAbsent)
        let other = try await put("other", "other")
        await expect(.preconditionFailed) {
            _ = try await store.copy(
                from: key("other"), sourceETag: other, to: key("target"), metadata: nil, condition: .ifAbsent)
        }
        #expect(try await text("target") == "content")
    }
}

import ObjectStore
import TestKit
import Testing

@testable import S3

/// Wrong bytes in the answers of a store: found where anything tells, and never handed on as right.
struct IntegrityTests {
    private static let small = bytes(5000, seed: 1)
    private static let large = bytes(3 << 20, seed: 2)

    private static func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = SeededRandom(seed: seed)
        return random.bytes(count)
    }

    private static func md5(_ bytes: [UInt8]) -> String { Checksum.hex(Checksum.digest(.md5, of: bytes)) }

    private static func flipped(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        bytes[bytes.count / 2] ^= 0x10
        return bytes
    }

    /// The range that was asked for of `bytes`, under the headers of the whole object.
    private static func reply(
        _ request: FaultServer.Request,
        _ bytes: [UInt8],
        etag: String = "e",
        _ more: [String: String] = [:]
    ) -> FaultServer.Reply {
        var headers = ["ETag": "\"\(etag)\"", "Last-Modified": "Fri, 24 May 2013 00:00:00 GMT"]
        headers.merge(more) { _, new in new }
        let bounds = request.headers["range"].map { $0.dropFirst(6).split(separator: "-").compactMap { Int($0) } }
        guard let bounds else { return FaultServer.Reply(headers: headers, body: bytes) }
        let end = bounds.count > 1 ? min(bounds[1] + 1, bytes.count) : bytes.count
        headers["Content-Range"] = "bytes \(bounds[0])-\(end - 1)/\(bytes.count)"
        return FaultServer.Reply(status: 206, headers: headers, body: Array(bytes[bounds[0]..<end]))
    }

    private func get(_ store: S3Store, _ sink: MemoryByteSink, range: Range<Int64>? = nil) async -> StoreError? {
        await storeError { _ = try await store.get(ObjectKey("k"), range: range, ifMatch: nil, into: sink) }
    }

    @Test(arguments: [
        ("x-amz-checksum-crc64nvme", Checksum.Algorithm.crc64nvme), ("x-amz-checksum-crc32c", .crc32c),
        ("x-amz-checksum-crc32", .crc32), ("x-amz-checksum-sha256", .sha256), ("x-amz-checksum-sha1", .sha1),
    ])
    func aFlippedBitIsFoundByTheChecksumOfTheStore(_ header: String, _ algorithm: Checksum.Algorithm) async throws {
        let checksum = [header: Checksum.base64(Checksum.digest(algorithm, of: Self.small))]
        try await withStore(
            Script { _, request in Self.reply(request, Self.flipped(Self.small), checksum) }
        ) { store, server in
            let sink = MemoryByteSink()
            #expect(await get(store, sink)?.kind == .corrupted)
            #expect(sink.info == nil && sink.bytes.isEmpty)
            #expect(server.requests.count == 4)
            #expect(server.requests.allSatisfy { $0.headers["x-amz-checksum-mode"] == "ENABLED" })
        }
        try await withStore(Script { _, request in Self.reply(request, Self.small, checksum) }) { store, _ in
            let sink = MemoryByteSink()
            #expect(await get(store, sink) == nil)
            #expect(sink.bytes == Self.small)
        }
    }

    @Test func aFlippedBitIsFoundByAnETagThatIsAnMD5AndTheBytesAreAskedForAgain() async throws {
        try await withStore(
            Script { number, request in
                Self.reply(request, number == 0 ? Self.flipped(Self.small) : Self.small, etag: Self.md5(Self.small))
            }
        ) { store, server in
            let sink = MemoryByteSink()
            #expect(await get(store, sink) == nil)
            #expect(sink.bytes == Self.small)
            #expect(server.requests.count == 2)
        }
    }

    @Test func aRangeThatIsTheWholeObjectIsCheckedToo() async throws {
        try await withStore(
            Script { _, request in Self.reply(request, Self.flipped(Self.small), etag: Self.md5(Self.small)) }
        ) { store, _ in
            let sink = MemoryByteSink()
            #expect(await get(store, sink, range: 0..<Int64(Self.small.count))?.kind == .corrupted)
            #expect(sink.bytes.isEmpty)
        }
    }

    /// The sink has had the bytes: no second answer can mend that.
    @Test func aLargeObjectThatIsWrongEndsInAnError() async throws {
        try await withStore(
            Script { _, request in Self.reply(request, Self.flipped(Self.large), etag: Self.md5(Self.large)) }
        ) { store, server in
            #expect(await get(store, MemoryByteSink())?.kind == .corrupted)
            #expect(server.requests.count == 1)
        }
    }

    @Test func theCheckGoesOnBehindABreak() async throws {
        for (bytes, outcome) in [(Self.large, nil), (Self.flipped(Self.large), StoreError.Kind.corrupted)] {
            try await withStore(
                Script { number, request in
                    var reply = Self.reply(request, bytes, etag: Self.md5(Self.large))
                    if number == 0 {
                        reply.claimedLength = reply.body.count
                        reply.body = Array(reply.body.prefix(1_000_000))
                    }
                    return reply
                }
            ) { store, server in
                let sink = MemoryByteSink()
                #expect(await get(store, sink)?.kind == outcome)
                #expect(sink.bytes == bytes)
                #expect(server.requests.count == 2)
            }
        }
    }

    @Test func aSmallObjectBehindABreakIsHandedOnOnce() async throws {
        try await withStore(
            Script { number, request in
                var reply = Self.reply(request, Self.small, etag: Self.md5(Self.small))
                reply.claimedLength = reply.body.count
                reply.body = Array(reply.body.prefix(number < 3 ? 1000 : 5000))
                return reply
            }
        ) { store, server in
            let sink = MemoryByteSink()
            #expect(await get(store, sink) == nil)
            #expect(sink.bytes == Self.small && sink.start == 0)
            #expect(server.requests.count == 4)
        }
    }

    @Test func anEmptyObjectIsWhole() async throws {
        try await withStore(Script { _, request in Self.reply(request, [], etag: Self.md5([])) }) { store, _ in
            let sink = MemoryByteSink()
            #expect(await get(store, sink) == nil)
            #expect(sink.info?.size == 0 && sink.bytes.isEmpty)
        }
    }

    /// Of parts, of encrypted objects, of uploads in parts: these tell nothing of the bytes.
    @Test(arguments: [
        ("e", ["x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "COMPOSITE"]),
        ("e", ["x-amz-checksum-crc32": "AAAAAA==-3"]), ("e", ["x-amz-checksum-crc32": "nonsense"]),
        ("0123456789abcdef0123456789abcdef", ["x-amz-server-side-encryption": "aws:kms"]),
        ("0123456789abcdef0123456789abcdef", ["x-amz-server-side-encryption-customer-algorithm": "AES256"]),
        ("0123456789abcdef0123456789abcdef-2", [:]),
    ])
    func whatIsNoChecksumOfTheBytesIsNotComparedWithThem(_ etag: String, _ headers: [String: String]) async throws {
        try await withStore(Script { _, request in Self.reply(request, Self.small, etag: etag, headers) }) {
            store,
            server in
            let sink = MemoryByteSink()
            #expect(await get(store, sink) == nil)
            #expect(sink.bytes == Self.small)
            #expect(server.requests.count == 1)
        }
    }

    @Test func aPartOfAnObjectIsAskedForAndComparedByItsETag() async throws {
        try await withStore(
            Script { _, request in Self.reply(request, Self.large, etag: "other") }
        ) { store, server in
            let sink = MemoryByteSink()
            let error = await storeError {
                _ = try await store.get(ObjectKey("k"), range: 1000..<2000, ifMatch: ETag("asked"), into: sink)
            }
            #expect(error?.kind == .preconditionFailed)
            #expect(sink.bytes.isEmpty)
            #expect(server.requests.map { $0.headers["if-match"] } == ["\"asked\""])
            #expect(server.requests[0].headers["x-amz-checksum-mode"] == nil)
        }
    }

    @Test(arguments: [
        "bytes 0-999/5000", "bytes 1001-2000/5000", "bytes 1000-1998/5000", "bytes 1000-2000/5000",
        "bytes 1000-1999/9223372036854775807", "bytes 1000-1999/*", "bytes 1999-1000/5000", "items 1000-1999/5000", "",
    ])
    func anotherRangeThanWasAskedForIsRefused(_ range: String) async throws {
        try await withStore(
            Script { _, request in
                var reply = Self.reply(request, Self.small)
                reply.headers["Content-Range"] = range
                return reply
            }
        ) { store, _ in
            let sink = MemoryByteSink()
            #expect(await get(store, sink, range: 1000..<2000)?.kind == .badAnswer)
            #expect(sink.bytes.isEmpty)
        }
    }

    @Test func theWholeObjectInPlaceOfARangeIsRefused() async throws {
        try await withStore(
            Script { _, request in
                var request = request
                request.headers["range"] = nil
                return Self.reply(request, Self.small)
            }
        ) { store, _ in
            let sink = MemoryByteSink()
            #expect(await get(store, sink, range: 1000..<2000)?.kind == .badAnswer)
            #expect(sink.bytes.isEmpty)
        }
    }

    /// A Content-Length that is too small cuts the body, one that is too large never ends: both break the connection.
    @Test(arguments: [-1, 1]) func aWrongContentLengthNeverGivesWrongBytes(_ difference: Int) async throws {
        try await withStore(
            Script { number, request in
                var reply = Self.reply(request, Self.small, etag: Self.md5(Self.small))
                if number == 0 { reply.claimedLength = reply.body.count + difference }
                return reply
            }.configured { $0.retry.maximumAttempts = 3 }
        ) { store, _ in
            let sink = MemoryByteSink()
            let error = await get(store, sink)
            #expect(error == nil ? sink.bytes == Self.small : sink.bytes.isEmpty)
        }
    }

    @Test func moreBytesThanTheRangeHasAreRefused() async throws {
        let head =
            "HTTP/1.1 206 x\r\nTransfer-Encoding: chunked\r\nContent-Range: bytes 0-9/5000\r\nETag: \"e\"\r\n"
            + "Last-Modified: Fri, 24 May 2013 00:00:00 GMT\r\n\r\n14\r\n01234567890123456789\r\n0\r\n\r\n"
        try await withStore(Script { _, _ in FaultServer.Reply(raw: Array(head.utf8)) }) { store, _ in
            let sink = MemoryByteSink()
            #expect(await get(store, sink, range: 0..<10)?.kind == .badAnswer)
            #expect(sink.bytes.isEmpty)
        }
    }

    @Test func aBodyIsNeverSentWithoutAChecksum() throws {
        var request = S3Request(method: .put, key: ObjectKey("k"), body: .source(MemoryByteSource("x")))
        request.digest = BodyDigest(of: Array("x".utf8))
        request.digest?.sha256 = nil
        let signer = RequestSigner(
            address: try S3Configuration(bucket: "b").bucketAddress(region: "r"),
            region: "r",
            credentials: Credentials(accessKeyID: "A", secretAccessKey: "S"),
            time: .init(seconds: 0),
            timeouts: Timeouts()
        )
        let headers = signer.sign(request).headers
        #expect(headers.first { $0.name == "x-amz-content-sha256" }?.value == "UNSIGNED-PAYLOAD")
        #expect(headers.first { $0.name == "Content-MD5" }?.value == "ndTkYSaMgDT1yFZOFVxnpg==")
    }
}

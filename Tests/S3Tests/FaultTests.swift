import Logging
import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing

@testable import S3

/// The store against a server that misbehaves.
struct FaultTests {
    private static let content = SeededContent.bytes(3 << 20)
    private static let etag = ["ETag": "\"e1\"", "Last-Modified": "Fri, 24 May 2013 00:00:00 GMT"]

    private enum SeededContent {
        static func bytes(_ count: Int) -> [UInt8] {
            var random = SeededRandom(seed: 42)
            return random.bytes(count)
        }
    }

    /// Sends from the range's start what `count` allows, claiming the whole rest.
    private static func partial(_ request: FaultServer.Request, limit: Int) -> FaultServer.Reply {
        let range = request.headers["range"].map { $0.dropFirst(6).split(separator: "-") }
        let start = range.flatMap { Int($0[0]) } ?? 0
        let end = range.flatMap { $0.count > 1 ? Int($0[1]) : nil }.map { min($0 + 1, content.count) } ?? content.count
        var headers = etag
        if range != nil { headers["Content-Range"] = "bytes \(start)-\(end - 1)/\(content.count)" }
        return FaultServer.Reply(
            status: range == nil ? 200 : 206,
            headers: headers,
            body: Array(content[start..<min(start + limit, end)]),
            claimedLength: end - start
        )
    }

    @Test func aDownloadThatBreaksGoesOnWhereItBroke() async throws {
        try await withStore(Script { _, request in Self.partial(request, limit: 1 << 20) }) { store, server in
            let sink = MemoryByteSink()
            let info = try await store.get(ObjectKey("k"), range: nil, ifMatch: nil, into: sink)
            #expect(sink.bytes == Self.content)
            #expect(info.size == Int64(Self.content.count))
            #expect(server.requests.count >= 3)
            #expect(server.requests[1].headers["range"]?.hasPrefix("bytes=") == true)
            #expect(server.requests[1].headers["if-match"] == "\"e1\"")
        }
    }

    @Test func aRangeThatBreaksEndsAtItsEnd() async throws {
        try await withStore(Script { number, request in Self.partial(request, limit: number == 0 ? 500 : 1 << 20) }) {
            store,
            server in
            let sink = MemoryByteSink()
            let info = try await store.get(ObjectKey("k"), range: 1000..<3000, ifMatch: nil, into: sink)
            #expect(sink.bytes == Array(Self.content[1000..<3000]))
            #expect(sink.start == 1000)
            #expect(info.size == Int64(Self.content.count))
            #expect(server.requests.last?.headers["range"] == "bytes=1500-2999")
        }
    }

    @Test func anotherVersionBehindABreakIsNoMixture() async throws {
        try await withStore(
            Script { number, request in
                number == 0 ? Self.partial(request, limit: 1000) : .error("PreconditionFailed", 412)
            }
        ) { store, _ in
            let sink = MemoryByteSink()
            let kind = await kind { _ = try await store.get(ObjectKey("k"), range: nil, ifMatch: nil, into: sink) }
            #expect(kind == .preconditionFailed)
            #expect(sink.bytes.count <= 1000)
        }
    }

    @Test func aServerThatIgnoresTheConditionIsNoMixtureEither() async throws {
        try await withStore(
            Script { number, request in
                var reply = Self.partial(request, limit: number == 0 ? 1000 : 4 << 20)
                if number > 0 { reply.headers["ETag"] = "\"e2\"" }
                return reply
            }
        ) { store, _ in
            let kind = await kind {
                _ = try await store.get(ObjectKey("k"), range: nil, ifMatch: nil, into: MemoryByteSink())
            }
            #expect(kind == .preconditionFailed)
        }
    }

    @Test func anErrorBodyNeverReachesTheSink() async throws {
        try await withStore(Script { _, _ in .error("NoSuchKey", 404) }) { store, _ in
            let sink = MemoryByteSink()
            #expect(
                await kind { _ = try await store.get(ObjectKey("k"), range: nil, ifMatch: nil, into: sink) }
                    == .notFound
            )
            #expect(sink.info == nil && sink.bytes.isEmpty)
        }
    }

    @Test func anEndlessErrorBodyIsCut() async throws {
        try await withStore(
            Script { _, _ in FaultServer.Reply(status: 404, body: [UInt8](repeating: 32, count: 4 << 20)) }
        ) {
            store,
            _ in
            #expect(
                await kind { _ = try await store.get(ObjectKey("k"), range: nil, ifMatch: nil, into: MemoryByteSink()) }
                    == .badAnswer
            )
        }
    }

    @Test func throttlingIsWaitedOut() async throws {
        try await withStore(
            Script { number, _ in
                number < 2 ? .error("SlowDown", 503) : FaultServer.Reply(headers: ["ETag": "\"e\""])
            }
        ) { store, server in
            let etag = try await store.put(ObjectKey("k"), body: MemoryByteSource("x"), metadata: [:], condition: .none)
            #expect(etag == ETag("e"))
            #expect(server.requests.count == 3)
            #expect(server.requests.allSatisfy { $0.body == Array("x".utf8) })
        }
    }

    @Test func attemptsEnd() async throws {
        try await withStore(Script { _, _ in .error("InternalError", 500) }) { store, server in
            #expect(await kind { _ = try await store.head(ObjectKey("k")) } == .serverFault)
            #expect(server.requests.count == 4)
        }
    }

    @Test func aConnectionWithoutAnswerIsUnreachable() async throws {
        try await withStore(Script { _, _ in FaultServer.Reply(hangsUp: true) }) { store, _ in
            #expect(await kind { _ = try await store.head(ObjectKey("k")) } == .unreachable)
        }
    }

    @Test func whatIsNotHTTPIsNoAnswer() async throws {
        try await withStore(
            Script { _, _ in FaultServer.Reply(raw: Array("SSH-2.0-x\r\n\r\n".utf8)) }.configured {
                $0.retry.maximumAttempts = 1
            }
        ) { store, _ in
            let kind = await kind { _ = try await store.head(ObjectKey("k")) }
            #expect(kind == .unreachable || kind == .badAnswer)
        }
    }

    @Test func aStallIsNoticed() async throws {
        try await withStore(
            Script { _, _ in FaultServer.Reply(claimedLength: 10, stalls: true) }.configured {
                $0.timeouts.stall = .seconds(1)
                $0.retry.maximumAttempts = 1
            }
        ) { store, _ in
            let clock = ContinuousClock()
            let start = clock.now
            #expect(
                await kind { _ = try await store.list(prefix: "", delimiter: nil, continuation: nil, limit: 10) }
                    == .unreachable
            )
            #expect(clock.now - start < .seconds(120))
        }
    }

    @Test func nobodyListens() async throws {
        let server = try FaultServer { _, _ in FaultServer.Reply() }
        server.stop()
        var configuration = try S3Configuration(
            bucket: "b",
            endpoint: S3Endpoint(url: "http://127.0.0.1:\(server.port)")
        )
        configuration.retry.maximumAttempts = 1
        let store = try S3Store(
            configuration,
            credentials: StaticCredentials(Credentials(accessKeyID: "A", secretAccessKey: "S")),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        #expect(await kind { try await store.probe() } == .unreachable)
    }

    @Test func anErrorAfterStatus200IsTriedAgain() async throws {
        let result = "<CompleteMultipartUploadResult><ETag>\"abc-1\"</ETag></CompleteMultipartUploadResult>"
        try await withStore(
            Script { number, _ in
                number == 0 ? .error("InternalError", 200) : .xml("  <?xml version=\"1.0\"?>" + result)
            }
        ) { store, _ in
            let etag = try await store.completeMultipartUpload(
                ObjectKey("k"),
                upload: UploadID("u"),
                parts: [UploadedPart(number: 1, etag: ETag("p"), size: 1)],
                condition: .none
            )
            #expect(etag == ETag("abc-1"))
        }
    }

    @Test(arguments: ["", "<Other/>", "<CompleteMultipartUploadResult/>", "<CompleteMultipartUploadResult><ETag>a"])
    func anAnswerThatSaysNothingIsNoSuccess(_ body: String) async throws {
        try await withStore(Script { _, _ in .xml(body) }) { store, _ in
            let kind = await kind {
                _ = try await store.completeMultipartUpload(
                    ObjectKey("k"),
                    upload: UploadID("u"),
                    parts: [],
                    condition: .none
                )
            }
            #expect(kind == .badAnswer)
        }
    }

    @Test func bytesThatTheStoreDoesNotHoldAreCorrupted() async throws {
        let other = ["ETag": "\"d41d8cd98f00b204e9800998ecf8427e\""]
        try await withStore(Script { _, _ in FaultServer.Reply(headers: other) }) { store, _ in
            let put = {
                try await store.put(ObjectKey("k"), body: MemoryByteSource("x"), metadata: [:], condition: .none)
            }
            #expect(await kind { _ = try await put() } == .corrupted)
        }
        let kms = other.merging(["x-amz-server-side-encryption": "aws:kms"]) { old, _ in old }
        try await withStore(Script { _, _ in FaultServer.Reply(headers: kms) }) { store, _ in
            let etag = try await store.put(ObjectKey("k"), body: MemoryByteSource("x"), metadata: [:], condition: .none)
            #expect(etag == ETag("d41d8cd98f00b204e9800998ecf8427e"))
        }
    }

    @Test func theRegionIsLearned() async throws {
        try await withStore(
            Script { _, request in
                request.headers["authorization"]?.contains("/eu-west-9/") == true
                    ? FaultServer.Reply(status: 204)
                    : .error("AuthorizationHeaderMalformed", 400, "<Region>eu-west-9</Region>")
            }
        ) { store, server in
            try await store.delete(ObjectKey("k"), ifMatch: nil)
            try await store.delete(ObjectKey("k"), ifMatch: nil)
            #expect(server.requests.count == 3)
            #expect(store.region == "eu-west-9")
        }
    }

    @Test func aRegionThatIsNoneIsNotLearned() async throws {
        try await withStore(Script { _, _ in .error("PermanentRedirect", 301, "<Region>x.evil.example/</Region>") }) {
            store,
            server in
            #expect(await kind { try await store.probe() } == .wrongRegion)
            #expect(server.requests.count == 1)
            #expect(store.region == "us-east-1")
        }
    }

    @Test func theClockIsLearned() async throws {
        try await withStore(
            Script { _, request in
                request.headers["x-amz-date"]?.hasPrefix("2013") == true
                    ? FaultServer.Reply(status: 204)
                    : FaultServer.Reply(status: 403, headers: ["Date": "Fri, 24 May 2013 00:00:00 GMT"])
            }
        ) { store, server in
            try await store.delete(ObjectKey("k"), ifMatch: nil)
            #expect(server.requests.count == 2)
        }
    }

    @Test func aSourceThatFailsMakesNoObject() async throws {
        struct Unreadable: Error {}
        struct Broken: ByteSource {
            let count: Int64 = 1 << 20
            func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws {
                throw Unreadable()
            }
        }
        try await withStore(Script { _, _ in FaultServer.Reply() }) { store, server in
            #expect(
                await kind { _ = try await store.put(ObjectKey("k"), body: Broken(), metadata: [:], condition: .none) }
                    == .localFault
            )
            #expect(server.requests.isEmpty)
        }
    }

    @Test func cancellationEndsTheChecksumPass() async throws {
        struct Endless: ByteSource {
            let count: Int64 = .max
            func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws {}
        }
        try await withStore(Script { _, _ in FaultServer.Reply() }) { store, server in
            let task = Task {
                try await store.put(ObjectKey("k"), body: Endless(), metadata: [:], condition: .none)
            }
            try await Task.sleep(for: .milliseconds(20))
            task.cancel()
            #expect(await kind { _ = try await task.value } == .cancelled)
            #expect(server.requests.isEmpty)
        }
    }

    @Test func backOffFollowsTheClockHandedIn() async throws {
        let server = try FaultServer { number, _ in
            number == 0 ? .error("SlowDown", 503) : FaultServer.Reply(status: 204)
        }
        defer { server.stop() }
        let time = ManualTime()
        let store = try S3Store(
            S3Configuration(bucket: "b", endpoint: S3Endpoint(url: "http://127.0.0.1:\(server.port)")),
            credentials: StaticCredentials(Credentials(accessKeyID: "A", secretAccessKey: "S")),
            time: time,
            random: SeededRandom(seed: 3),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        let deletion = Task { try await store.delete(ObjectKey("k"), ifMatch: nil) }
        await time.waitForSleepers()
        #expect(server.requests.count == 1)
        #expect(server.requests[0].headers["x-amz-date"] == "20250615T150640Z")
        time.advance(by: .milliseconds(500))
        try await deletion.value
        #expect(server.requests.count == 2)
    }

    @Test func aSinkThatFailsEndsTheDownload() async throws {
        struct Full: ByteSink {
            struct NoSpace: Error {}
            func begin(_ info: ObjectInfo) throws {}
            func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws { throw NoSpace() }
        }
        try await withStore(Script { _, request in Self.partial(request, limit: 4 << 20) }) { store, server in
            #expect(
                await kind { _ = try await store.get(ObjectKey("k"), range: nil, ifMatch: nil, into: Full()) }
                    == .localFault
            )
            #expect(server.requests.count == 1)
        }
    }

    @Test func cancellationEndsATransfer() async throws {
        try await withStore(Script { _, _ in FaultServer.Reply(claimedLength: 10, stalls: true) }) { store, server in
            let task = Task { try await store.head(ObjectKey("k")) }
            let listing = Task { try await store.list(prefix: "", delimiter: nil, continuation: nil, limit: 1) }
            while server.requests.count < 1 { try await Task.sleep(for: .milliseconds(5)) }
            task.cancel()
            listing.cancel()
            // Without cancellation it would end when the stall is given up, as unreachable.
            #expect(await kind { _ = try await listing.value } == .cancelled)
            _ = try? await task.value
        }
    }

    @Test func aCancelledTaskSendsNothing() async throws {
        try await withStore(Script { _, _ in FaultServer.Reply(status: 204) }) { store, server in
            let task = Task {
                while !Task.isCancelled { await Task.yield() }
                try await store.delete(ObjectKey("k"), ifMatch: nil)
            }
            task.cancel()
            #expect(await kind { try await task.value } == .cancelled)
            #expect(server.requests.isEmpty)
        }
    }

    @Test func transfersBeyondTheLimitWaitAndThenRun() async throws {
        try await withStore(
            Script { _, request in Self.partial(request, limit: 4 << 20) }.configured { $0.concurrency = 2 }
        ) { store, _ in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        let sink = MemoryByteSink()
                        _ = try await store.get(ObjectKey("k"), range: 0..<100_000, ifMatch: nil, into: sink)
                        return sink.bytes == Array(Self.content[..<100_000])
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    @Test func movedBytesAreCounted() async throws {
        let traffic = TrafficCounters()
        try await withStore(
            Script { _, request in
                request.method == "PUT"
                    ? FaultServer.Reply(headers: ["ETag": "\"e\""]) : Self.partial(request, limit: 4 << 20)
            },
            traffic: traffic
        ) { store, _ in
            _ = try await store.put(
                ObjectKey("k"),
                body: MemoryByteSource(Self.content),
                metadata: [:],
                condition: .none
            )
            #expect(traffic.totalSent == Self.content.count)
            _ = try await store.get(ObjectKey("k"), range: 0..<1000, ifMatch: nil, into: MemoryByteSink())
            #expect(traffic.totalReceived == 1000)
        }
    }

    @Test func conditionsAndChecksumsAreOnTheWire() async throws {
        try await withStore(Script { _, _ in FaultServer.Reply(headers: ["ETag": "\"e\""]) }) { store, server in
            _ = try await store.put(
                ObjectKey("a b/ü"),
                body: MemoryByteSource("x"),
                metadata: ["mode": "33188"],
                condition: .ifAbsent
            )
            let request = try #require(server.requests.first)
            #expect(request.target == "/b/a%20b/%C3%BC")
            #expect(request.headers["if-none-match"] == "*")
            #expect(request.headers["x-amz-meta-mode"] == "33188")
            #expect(request.headers["content-md5"] == "ndTkYSaMgDT1yFZOFVxnpg==")
            #expect(request.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD")
            #expect(request.headers["expect"] == nil)
            #expect(
                request.headers["authorization"]?.contains(
                    "content-md5;host;if-none-match;x-amz-content-sha256;x-amz-date;x-amz-meta-mode"
                ) == true
            )
        }
    }

    @Test func tooLongAKeyIsNotSent() async throws {
        try await withStore(Script { _, _ in FaultServer.Reply() }) { store, server in
            let key = ObjectKey(String(repeating: "ü", count: 513))
            #expect(await kind { _ = try await store.head(key) } == .invalidKey)
            #expect(await kind { _ = try await store.head(ObjectKey("")) } == .invalidKey)
            #expect(server.requests.isEmpty)
        }
    }
}

import ObjectStore
import TestKit
import Testing

@testable import S3

/// Somebody between us and the store answers, as the login page of a network: it counts as no way to the store.
struct ForeignAnswerTests {
    private static let page = Array("<!DOCTYPE html><html><body>Welcome to our hotel</body></html>".utf8)

    /// What login pages answer with.
    private static let portals: [String: FaultServer.Reply] = [
        "a page": FaultServer.Reply(headers: ["Content-Type": "text/html; charset=utf-8"], body: page),
        "a page with an ETag": FaultServer.Reply(
            headers: [
                "Content-Type": "text/html", "ETag": "\"6413b2c7-264\"",
                "Last-Modified": "Fri, 24 May 2013 00:00:00 GMT",
            ],
            body: page
        ),
        "a page without a type": FaultServer.Reply(body: page),
        "a redirect": FaultServer.Reply(
            status: 302,
            headers: ["Location": "http://portal.example/login?from=x&secret=y", "Content-Type": "text/html"]
        ),
        "a lasting redirect": FaultServer.Reply(status: 307, headers: ["Location": "https://portal.example/"]),
        "a page that something is missing": FaultServer.Reply(
            status: 404,
            headers: ["Content-Type": "text/html"],
            body: page
        ),
        "a page that forbids": FaultServer.Reply(status: 403, headers: ["Content-Type": "text/html"], body: page),
        "511": FaultServer.Reply(status: 511, headers: ["Content-Type": "text/html"], body: page),
    ]

    private static let operations: [String: @Sendable (S3Store) async throws -> Void] = [
        "head": { _ = try await $0.head(ObjectKey("k")) },
        "get": { _ = try await $0.get(ObjectKey("k"), range: nil, ifMatch: nil, into: MemoryByteSink()) },
        "get of a version": {
            _ = try await $0.get(ObjectKey("k"), range: 0..<9, ifMatch: ETag("e"), into: MemoryByteSink())
        },
        "put": {
            _ = try await $0.put(ObjectKey("k"), body: MemoryByteSource("x"), metadata: [:], condition: .none)
        },
        "list": { _ = try await $0.list(prefix: "", delimiter: nil, continuation: nil, limit: 9) },
        "probe": { try await $0.probe() },
        "delete": { try await $0.delete(ObjectKey("k"), ifMatch: nil) },
        "delete many": { _ = try await $0.delete([ObjectKey("k")]) },
        "copy": {
            _ = try await $0.copy(
                from: ObjectKey("k"),
                sourceETag: ETag("e"),
                to: ObjectKey("l"),
                metadata: nil,
                condition: .none
            )
        },
        "create": { _ = try await $0.createMultipartUpload(ObjectKey("k"), metadata: [:]) },
        "part": {
            _ = try await $0.uploadPart(
                ObjectKey("k"),
                upload: UploadID("u"),
                number: 1,
                body: MemoryByteSource("x")
            )
        },
        "list parts": { _ = try await $0.listParts(ObjectKey("k"), upload: UploadID("u")) },
        "complete": {
            _ = try await $0.completeMultipartUpload(
                ObjectKey("k"),
                upload: UploadID("u"),
                parts: [],
                condition: .none
            )
        },
        "abort": { try await $0.abortMultipartUpload(ObjectKey("k"), upload: UploadID("u")) },
    ]

    @Test(arguments: portals.keys.sorted())
    func aLoginPageIsNeverTakenForTheStore(_ name: String) async throws {
        let reply = try #require(Self.portals[name])
        try await withStore(Script { _, _ in reply }.configured { $0.retry.maximumAttempts = 1 }) { store, server in
            for (operation, run) in Self.operations {
                // A HEAD shows no body by which a page without a type could be known, and no ETag of an object either.
                let error = await storeError { try await run(store) }
                #expect(error?.kind == .unreachable, "\(operation): \(error?.description ?? "a success")")
                #expect(error?.message.contains("login") == true, "\(operation)")
            }
            // No redirect was followed: each operation sent one request.
            #expect(server.requests.count == Self.operations.count)
        }
    }

    @Test func theReasonNamesTheHostAndNoMore() async throws {
        let reply = try #require(Self.portals["a redirect"])
        try await withStore(Script { _, _ in reply }.configured { $0.retry.maximumAttempts = 1 }) { store, _ in
            let message = await storeError { try await store.probe() }?.message ?? ""
            #expect(message.contains("portal.example") && !message.contains("secret"))
        }
    }

    @Test func aLoopOfRedirectsIsNotFollowed() async throws {
        try await withStore(
            Script { _, request in
                FaultServer.Reply(status: 301, headers: ["Location": "http://127.0.0.1/\(request.target)x"])
            }
        ) { store, server in
            #expect(await kind { _ = try await store.head(ObjectKey("k")) } == .unreachable)
            #expect(server.requests.count == 4)
            #expect(server.requests.allSatisfy { $0.target == "/b/k" })
        }
    }

    @Test func noRequestGoesToAnotherHost() async throws {
        let other = try FaultServer { _, _ in FaultServer.Reply() }
        defer { other.stop() }
        let port = other.port
        for status in [301, 302, 303, 307, 308] {
            let reply = FaultServer.Reply(status: status, headers: ["Location": "http://127.0.0.1:\(port)/b/k"])
            try await withStore(Script { _, _ in reply }.configured { $0.retry.maximumAttempts = 1 }) { store, _ in
                for run in Self.operations.values {
                    #expect(await storeError { try await run(store) }?.kind == .unreachable)
                }
            }
        }
        #expect(other.requests.isEmpty)
    }

    @Test func aGatewaysFaultStaysAFaultOfTheServer() async throws {
        for status in [500, 502, 504] {
            let reply = FaultServer.Reply(status: status, headers: ["Content-Type": "text/html"], body: Self.page)
            try await withStore(Script { _, _ in reply }) { store, server in
                #expect(await kind { _ = try await store.head(ObjectKey("k")) } == .serverFault)
                #expect(server.requests.count == 4)
            }
        }
    }

    @Test func textsOfOtherServersAreNotTheStores() async throws {
        for reply in [
            FaultServer.Reply(status: 404, headers: ["Content-Type": "text/plain"], body: Array("404 not found".utf8)),
            FaultServer.Reply(headers: ["Content-Type": "application/json"], body: Array("{\"login\": true}".utf8)),
        ] {
            try await withStore(Script { _, _ in reply }.configured { $0.retry.maximumAttempts = 1 }) { store, _ in
                #expect(await kind { try await store.probe() } == .unreachable)
                #expect(await kind { try await store.delete(ObjectKey("k"), ifMatch: nil) } == .unreachable)
            }
        }
    }

    @Test func objectsThatAreWebPagesAreRead() async throws {
        let headers = [
            "Content-Type": "text/html", "ETag": "\"\(Checksum.hex(Checksum.digest(.md5, of: Self.page)))\"",
            "Last-Modified": "Fri, 24 May 2013 00:00:00 GMT",
        ]
        // A store that sends no header of S3: its page is known by its ETag.
        try await withStore(Script { _, _ in FaultServer.Reply(headers: headers, body: Self.page) }) { store, _ in
            let sink = MemoryByteSink()
            let etag = ETag(header: headers["ETag"] ?? "")
            _ = try await store.get(ObjectKey("k"), range: nil, ifMatch: etag, into: sink)
            #expect(sink.bytes == Self.page)
        }
        let marked = headers.merging(["x-amz-request-id": "R"]) { old, _ in old }
        try await withStore(Script { _, _ in FaultServer.Reply(headers: marked, body: Self.page) }) { store, _ in
            let sink = MemoryByteSink()
            _ = try await store.get(ObjectKey("k"), range: nil, ifMatch: nil, into: sink)
            #expect(sink.bytes == Self.page)
            #expect(try await store.head(ObjectKey("k")).size == Int64(Self.page.count))
        }
    }

    @Test func emptyAnswersThatClaimToBePagesAreTheStores() async throws {
        let headers = ["Content-Type": "text/html"]
        try await withStore(Script { _, _ in FaultServer.Reply(status: 404, headers: headers) }) { store, _ in
            #expect(await kind { _ = try await store.head(ObjectKey("k")) } == .notFound)
        }
        try await withStore(Script { _, _ in FaultServer.Reply(status: 204, headers: headers) }) { store, _ in
            try await store.delete(ObjectKey("k"), ifMatch: nil)
        }
    }
}

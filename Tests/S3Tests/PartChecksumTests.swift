import ObjectStore
import TestKit
import Testing

@testable import S3

/// Uploads in parts are checked by CRC-64 where the store has it, and by MD5 where it has not, says that it has not, or
/// does not do as it said.
struct PartChecksumTests {
    private static let key = ObjectKey("k")
    private static let bytes = Array("123456789".utf8)
    /// Of these bytes, in base 64 ("Catalogue of parametrised CRC algorithms", CRC-64/NVME: ae8b14860a799888).
    private static let checksum = "rosUhgp5mIg="
    private static let md5 = Checksum.hex(Checksum.digest(.md5, of: bytes))

    /// What is done, by the parameters that only that has.
    private enum Operation {
        case create, part, copy, complete, abort

        init(_ request: FaultServer.Request) {
            self =
                switch (request.method, request.target.contains("partNumber=")) {
                case ("PUT", true): request.headers["x-amz-copy-source"] == nil ? .part : .copy
                case ("DELETE", _): .abort
                default: request.target.contains("uploads=") ? .create : .complete
                }
        }
    }

    /// A store that has checksums, and answers some operations in another way.
    private static func script(
        _ other: @escaping @Sendable (Operation, Int, FaultServer.Request) -> FaultServer.Reply? = { _, _, _ in nil }
    ) -> Script {
        Script { number, request in
            let operation = Operation(request)
            if let reply = other(operation, number, request) { return reply }
            switch operation {
            case .create:
                let algorithm = request.headers["x-amz-checksum-algorithm"]
                return created(algorithm.map { ["x-amz-checksum-algorithm": $0] } ?? [:])
            case .part:
                var headers = ["ETag": "\"\(md5)\""]
                headers["x-amz-checksum-crc64nvme"] = request.headers["x-amz-checksum-crc64nvme"]
                return FaultServer.Reply(headers: headers)
            case .copy:
                return .xml(
                    "<CopyPartResult><ETag>\"e\"</ETag><ChecksumCRC64NVME>\(checksum)</ChecksumCRC64NVME></CopyPartResult>"
                )
            case .complete:
                return .xml("<CompleteMultipartUploadResult><ETag>\"e-2\"</ETag></CompleteMultipartUploadResult>")
            case .abort: return FaultServer.Reply(status: 204)
            }
        }
    }

    private static func created(_ headers: [String: String]) -> FaultServer.Reply {
        var reply = FaultServer.Reply.xml(
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        reply.headers = headers
        return reply
    }

    private static func create(_ store: S3Store) async throws -> UploadID {
        try await store.createMultipartUpload(key, metadata: ["mode": "33188"])
    }

    private static func send(_ store: S3Store, _ upload: UploadID) async throws -> UploadedPart {
        try await store.uploadPart(key, upload: upload, number: 1, body: MemoryByteSource(bytes))
    }

    private static func complete(
        _ store: S3Store, _ upload: UploadID, _ parts: [UploadedPart], _ condition: WriteCondition = .none
    ) async throws {
        _ = try await store.completeMultipartUpload(key, upload: upload, parts: parts, condition: condition)
    }

    private static func isCreatedWithChecksum(_ store: S3Store) async throws -> Bool {
        try await create(store).checksum != nil
    }

    @Test func partsGoWithTheirCRCAndTheWholeNamesIt() async throws {
        try await withStore(Self.script()) { store, server in
            let upload = try await Self.create(store)
            #expect(upload.checksum == .crc64nvme)
            let part = try await Self.send(store, upload)
            #expect(part.checksum == Self.checksum && part.md5 == nil)
            let copied = try await store.copyPart(
                from: ObjectKey("s"), sourceETag: ETag("s"), range: 0..<9, to: Self.key, upload: upload, number: 2)
            #expect(copied.checksum == Self.checksum)
            try await Self.complete(store, upload, [part, copied])

            let requests = server.requests
            #expect(requests.map { $0.headers["x-amz-checksum-algorithm"] } == ["CRC64NVME", nil, nil, nil])
            #expect(requests[1].headers["x-amz-checksum-crc64nvme"] == Self.checksum)
            #expect(requests[1].headers["content-md5"] == nil)
            #expect(requests[1].headers["authorization"]?.contains("x-amz-checksum-crc64nvme") == true)
            #expect(
                String(decoding: requests[3].body, as: UTF8.self).hasSuffix(
                    "<Part><PartNumber>1</PartNumber><ETag>&quot;\(Self.md5)&quot;</ETag>"
                        + "<ChecksumCRC64NVME>\(Self.checksum)</ChecksumCRC64NVME></Part>"
                        + "<Part><PartNumber>2</PartNumber><ETag>&quot;e&quot;</ETag>"
                        + "<ChecksumCRC64NVME>\(Self.checksum)</ChecksumCRC64NVME></Part></CompleteMultipartUpload>"))
        }
    }

    @Test func aStoreThatPassesOverChecksumsGetsMD5s() async throws {
        try await withStore(Self.script { operation, _, _ in operation == .create ? Self.created([:]) : nil }) {
            store, server in
            let upload = try await Self.create(store)
            #expect(upload.checksum == nil)
            let part = try await Self.send(store, upload)
            #expect(part.checksum == nil && part.md5 == Self.md5)
            try await Self.complete(store, upload, [part])
            #expect(server.requests[1].headers["content-md5"] != nil)
            #expect(server.requests[1].headers["x-amz-checksum-crc64nvme"] == nil)
            #expect(!String(decoding: server.requests[2].body, as: UTF8.self).contains("Checksum"))
        }
    }

    @Test(arguments: [("InvalidArgument", 400), ("NotImplemented", 501)])
    func aStoreThatRefusesChecksumsIsAskedForThemOnce(_ code: String, _ status: Int) async throws {
        let refusing = Self.script { _, _, request in
            request.headers["x-amz-checksum-algorithm"] == nil ? nil : .error(code, status)
        }
        try await withStore(refusing) { store, server in
            for _ in 0..<2 {
                let upload = try await Self.create(store)
                #expect(upload.checksum == nil)
            }
            #expect(server.requests.map { $0.headers["x-amz-checksum-algorithm"] } == ["CRC64NVME", nil, nil])
            #expect(server.requests.allSatisfy { $0.headers["x-amz-meta-mode"] == "33188" })
        }
    }

    /// What the store refuses for another reason says nothing of checksums.
    @Test func aRefusalThatStaysWithoutAChecksumIsTold() async throws {
        let refusing = Self.script { _, number, _ in number < 2 ? .error("InvalidArgument", 400) : nil }
        try await withStore(refusing) { store, _ in
            #expect(await kind { _ = try await Self.create(store) } == .refused)
            let upload = try await Self.create(store)
            #expect(upload.checksum != nil)
        }
    }

    @Test(arguments: [FaultServer.Reply(headers: ["ETag": "\"e\""]), .error("InvalidRequest", 400)])
    func anUploadIsGivenUpWhoseStoreDoesNotCheckItsParts(_ reply: FaultServer.Reply) async throws {
        try await withStore(Self.script { operation, _, _ in operation == .part ? reply : nil }) { store, server in
            let upload = try await Self.create(store)
            #expect(await kind { _ = try await Self.send(store, upload) } == .noSuchUpload)
            #expect(server.requests.map { Operation($0) } == [.create, .part, .abort])
            #expect(try await !Self.isCreatedWithChecksum(store))
        }
    }

    /// What comes of an upload whose completion is refused.
    private struct Refusal {
        var kind: StoreError.Kind?
        var operations: [Operation]
        var nextHasChecksum: Bool

        init(_ code: String, _ status: Int = 400, _ condition: WriteCondition = .none) async throws {
            (kind, operations, nextHasChecksum) = (nil, [], false)
            try await withStore(
                script { operation, _, _ in operation == .complete ? .error(code, status) : nil }
            ) { store, server in
                let upload = try await create(store)
                let part = try await send(store, upload)
                kind = await S3Tests.kind { try await complete(store, upload, [part], condition) }
                operations = server.requests.map { Operation($0) }
                nextHasChecksum = try await isCreatedWithChecksum(store)
            }
        }
    }

    @Test func anUploadIsGivenUpWhoseChecksumsAreRefusedAtTheEnd() async throws {
        let refusal = try await Refusal("InvalidRequest")
        #expect(refusal.kind == .noSuchUpload && !refusal.nextHasChecksum)
        #expect(refusal.operations == [.create, .part, .complete, .abort])
    }

    /// Else an upload whose parts a store refuses for their checksums would begin anew for ever.
    @Test func afterPartsThatDoNotFitUploadsHaveNoChecksum() async throws {
        let refusal = try await Refusal("InvalidPart")
        #expect(refusal.kind == .invalidPart && !refusal.nextHasChecksum)
        #expect(refusal.operations == [.create, .part, .complete])
    }

    @Test func aConditionThatTheStoreDoesNotHaveIsNoMatterOfChecksums() async throws {
        let refusal = try await Refusal("NotImplemented", 501, .ifAbsent)
        #expect(refusal.kind == .unsupported && refusal.nextHasChecksum)
    }

    @Test func aPartThatArrivedAsOtherBytesIsFound() async throws {
        let other = FaultServer.Reply(headers: ["ETag": "\"e\"", "x-amz-checksum-crc64nvme": "AAAAAAAAAAA="])
        try await withStore(Self.script { operation, _, _ in operation == .part ? other : nil }) { store, _ in
            let upload = try await Self.create(store)
            #expect(await kind { _ = try await Self.send(store, upload) } == .corrupted)
            #expect(try await Self.isCreatedWithChecksum(store))
        }
    }
}

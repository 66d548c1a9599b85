import Foundation
import Logging
import ObjectStore
import TestKit
import Testing

@testable import S3

/// The store against a real server: SLUICE_TEST_S3_ENDPOINT, SLUICE_TEST_S3_BUCKET and AWS_* credentials name it.
@Suite(.enabled(if: LiveServer.isNamed))
struct LiveTests {
    /// What servers lack, by the word in SLUICE_TEST_S3_SERVER.
    private static let lacking: [String: Set<StoreConformance.Behaviour>] = [
        // SeaweedFS 4.48 keeps objects in a tree of directories, and it shows:
        "seaweedfs": [
            // repeated slashes are joined, dot segments refused;
            .keysThatNoPathCanCarry,
            // a name between slashes has at most 255 bytes;
            .longKeys,
            // HEAD of `dir/` succeeds where only `dir/file` exists;
            .whatIsNotThereIsNotFound,
            // markers lose their metadata and body;
            .directoryMarkersAreObjects, .anObjectBesideItsDirectory,
            // a directory stays in listings for a while after its last object;
            .deleteIsIdempotent,
            // names are ordered directory by directory: `a/x` before `a-b`;
            .listIsOrderedByUTF8Bytes, .listPrefixNeedNotEndAtADelimiter,
            // only `/` works as a delimiter;
            .listWithAnyDelimiter,
            // a part that was sent again does not replace the former: which one counts is decided by the ETag.
            .aPartSentAgainReplacesTheFormer,
        ]
    ]

    static var behaviours: [StoreConformance.Behaviour] {
        let left = lacking[LiveServer.environment["SLUICE_TEST_S3_SERVER"] ?? ""] ?? []
        return StoreConformance.Behaviour.allCases.filter { !left.contains($0) }
    }

    @Test(arguments: behaviours)
    func conforms(_ behaviour: StoreConformance.Behaviour) async throws {
        let store = try LiveServer.store()
        try await StoreConformance(store, prefix: "conformance-\(UUID().uuidString)/").check(behaviour)
    }

    /// Where this fails, no suite checks parts by CRC-64 against a real server any more.
    @Test(.enabled(if: LiveServer.environment["SLUICE_TEST_S3_SERVER"] == "seaweedfs"))
    func partsAreCheckedByTheServer() async throws {
        let store = try LiveServer.store()
        let key = ObjectKey("checksum-\(UUID().uuidString)")
        let upload = try await store.createMultipartUpload(key, metadata: [:])
        #expect(upload.checksum == .crc64nvme)
        let part = try await store.uploadPart(key, upload: upload, number: 1, body: MemoryByteSource("part"))
        #expect(part.checksum != nil)
        try await store.abortMultipartUpload(key, upload: upload)
    }

    @Test func theProbeTellsWhatIsWrong() async throws {
        try await LiveServer.store().probe()
        await #expect {
            try await LiveServer.store(bucket: "no-such-bucket-\(UUID().uuidString.lowercased())").probe()
        } throws: {
            ($0 as? StoreError)?.kind == .noSuchBucket
        }
    }

    @Test func theProbeTellsWrongKeys() async throws {
        let unknown = StaticCredentials(Credentials(accessKeyID: "UNKNOWN", secretAccessKey: "x"))
        await #expect { try await LiveServer.store(credentials: unknown).probe() } throws: {
            ($0 as? StoreError)?.kind == .badCredentials
        }
    }

    @Test func manySmallObjectsAreWrittenListedAndDeleted() async throws {
        let store = try LiveServer.store()
        let prefix = "many-\(UUID().uuidString)/"
        let keys = (0..<300).map { ObjectKey(prefix + "d\($0 % 7)/sp ace+\($0)%41&<>'\"ü") }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for key in keys {
                group.addTask {
                    _ = try await store.put(
                        key,
                        body: MemoryByteSource(key.string),
                        metadata: ["n": "1"],
                        condition: .ifAbsent
                    )
                }
            }
            try await group.waitForAll()
        }
        var listed: [ObjectKey] = []
        var token: String?
        repeat {
            let page = try await store.list(prefix: prefix, delimiter: nil, continuation: token, limit: 77)
            listed += page.objects.map(\.key)
            token = page.continuation
        } while token != nil
        #expect(listed == keys.sorted())
        #expect(try await store.delete(keys).isEmpty)
        #expect(try await store.list(prefix: prefix, delimiter: nil, continuation: nil, limit: 10).objects.isEmpty)
    }
}

/// The server that the environment names.
enum LiveServer {
    static let environment = ProcessInfo.processInfo.environment
    static var isNamed: Bool { environment["SLUICE_TEST_S3_ENDPOINT"] != nil }

    static func store(bucket: String? = nil, credentials: (any CredentialsProvider)? = nil) throws -> S3Store {
        let settings = try AWSSettings(environment: environment)
        let configuration = try S3Configuration(
            bucket: bucket ?? environment["SLUICE_TEST_S3_BUCKET"] ?? "sluice",
            settings: settings,
            endpointURL: environment["SLUICE_TEST_S3_ENDPOINT"]
        )
        return try S3Store(
            configuration,
            credentials: credentials ?? CredentialsChain(settings: settings),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }
}

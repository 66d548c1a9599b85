import Logging
import ObjectStore
import Platform
import Synchronization
import TestKit
import Testing

@testable import S3

/// Keys that the store refuses in the middle of work.
struct RefusedKeysTests {
    /// Has new keys when the old ones were refused, if `renews`.
    private final class Rotation: CredentialsProvider {
        let number = Mutex(1)
        let renews: Bool
        var place: String { "a test" }

        init(renews: Bool) { self.renews = renews }

        func credentials(at time: Timestamp) async throws(StoreError) -> Credentials? {
            Credentials(accessKeyID: "KEY\(number.withLock { $0 })", secretAccessKey: "s")
        }

        func refused(_ credentials: Credentials) -> Bool {
            if renews { number.withLock { $0 += 1 } }
            return renews
        }
    }

    private func put(
        _ provider: Rotation, _ answer: @escaping @Sendable (Int, FaultServer.Request) -> FaultServer.Reply
    ) async throws -> (requests: [FaultServer.Request], error: StoreError?) {
        let server = try FaultServer(answer)
        defer { server.stop() }
        let endpoint = try S3Endpoint(url: "http://127.0.0.1:\(server.port)")
        let store = try S3Store(
            try S3Configuration(bucket: "b", endpoint: endpoint), credentials: provider,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        do {
            _ = try await store.list(prefix: "", delimiter: nil, continuation: nil, limit: 1)
            return (server.requests, nil)
        } catch { return (server.requests, error) }
    }

    private static let page = FaultServer.Reply.xml(
        "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")

    @Test(arguments: ["ExpiredToken", "InvalidAccessKeyId", "InvalidToken"])
    func theSameRequestIsSentOnceMoreWithNewKeys(_ code: String) async throws {
        let (requests, error) = try await put(Rotation(renews: true)) { number, _ in
            number == 0 ? .error(code, 403) : Self.page
        }
        #expect(error == nil)
        #expect(requests.count == 2)
        #expect(requests.last?.headers["authorization"]?.contains("KEY2/") == true)
    }

    @Test(arguments: [true, false]) func aRefusalThatStaysIsTold(_ renews: Bool) async throws {
        let (requests, error) = try await put(Rotation(renews: renews)) { _, _ in .error("ExpiredToken", 400) }
        #expect(error?.kind == .badCredentials && error?.code == "ExpiredToken")
        #expect(requests.count == (renews ? 2 : 1))
    }
}

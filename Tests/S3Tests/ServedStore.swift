import Logging
import ObjectStore
import Platform
import TestKit

@testable import S3

/// What a ``FaultServer`` answers in a test, and how the store that asks it is configured.
struct Script: Sendable {
    var answer: @Sendable (Int, FaultServer.Request) -> FaultServer.Reply
    var configure: @Sendable (inout S3Configuration) -> Void = { _ in }

    init(_ answer: @escaping @Sendable (Int, FaultServer.Request) -> FaultServer.Reply) { self.answer = answer }

    func configured(_ configure: @escaping @Sendable (inout S3Configuration) -> Void) -> Script {
        var script = self
        script.configure = configure
        return script
    }
}

/// Runs `body` with a store whose server follows the script; retries wait next to nothing.
func withStore(
    _ script: Script,
    traffic: TrafficCounters? = nil,
    time: any TimeSource = SystemTime(),
    _ body: (S3Store, FaultServer) async throws -> Void
) async throws {
    let server = try FaultServer(script.answer)
    defer { server.stop() }
    var configuration = try S3Configuration(
        bucket: "b",
        endpoint: S3Endpoint(url: "http://127.0.0.1:\(server.port)")
    )
    configuration.retry.base = .milliseconds(1)
    configuration.retry.throttledBase = .milliseconds(1)
    script.configure(&configuration)
    let store = try S3Store(
        configuration,
        credentials: StaticCredentials(Credentials(accessKeyID: "A", secretAccessKey: "S")),
        time: time,
        traffic: traffic,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    )
    try await body(store, server)
}

/// How an action of a store fails; nil if it does not.
func kind(_ action: () async throws -> Void) async -> StoreError.Kind? { await storeError(action)?.kind }

func storeError(_ action: () async throws -> Void) async -> StoreError? {
    do {
        try await action()
        return nil
    } catch { return error as? StoreError }
}

import Foundation
import Logging
import Platform
import Synchronization
import SystemPackage
import Testing

@testable import sluice

/// The control protocol over a real socket, with a daemon that the test plays.
@Suite struct ControlTests {
    private final class FakeMount: MountControl {
        let left = Mutex(ControlAnswer.Remainder(files: 2, bytes: 300, operations: 1))
        let isPaused = Mutex(false)

        func status() throws -> StatusReport {
            StatusReport(
                source: "s3://bucket",
                mountpoint: "/mnt",
                stateDirectory: "/state",
                pending: .init(files: 2, bytes: 300, operations: 1),
                uploading: [.init(path: "a \"b\"", bytesDone: 1, bytesTotal: 4)],
                link: .init(state: isPaused.withLock { $0 } ? "paused" : "online"),
                conflicts: [],
                errors: [],
                cache: .init(usedBytes: 5, dirtyBytes: 3, limitBytes: 10),
                rates: .init(uploadBytesPerSecond: 1.5, downloadBytesPerSecond: 0)
            )
        }

        func drain(_ path: String) async throws {
            if path == "absent" { throw Errno.noSuchFileOrDirectory }
            if path == "stuck" { try await Task.sleep(for: .seconds(3600)) }
            left.withLock { $0 = .init(files: 0, bytes: 0, operations: 0) }
        }

        func remainder(_ path: String) throws -> ControlAnswer.Remainder { left.withLock { $0 } }
        func pause() { isPaused.withLock { $0 = true } }
        func resume() { isPaused.withLock { $0 = false } }
        func end() {}
    }

    /// The last answer to each request. On a thread of its own: the drain needs the pool that this test runs in.
    private func answers(
        _ requests: [ControlRequest],
        of mount: FakeMount = FakeMount()
    ) async throws -> [ControlAnswer] {
        try await withCheckedThrowingContinuation { done in
            Thread.detachNewThread { done.resume(with: Result { try Self.ask(requests, of: mount) }) }
        }
    }

    private static func ask(_ requests: [ControlRequest], of mount: FakeMount) throws -> [ControlAnswer] {
        try withServer(of: mount) { directory in
            let socket = try ControlSocket.connect(in: directory)
            return try requests.map { try lastAnswer(to: ControlCoding.line($0), on: socket) }
        }
    }

    private static func withServer<Value>(of mount: FakeMount, _ body: (String) throws -> Value) throws -> Value {
        // A path that no socket address has room for.
        let directory = NSTemporaryDirectory() + "sluice-\(UUID().uuidString)-" + String(repeating: "x", count: 100)
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let server = try ControlServer(
            in: directory,
            control: mount,
            time: SystemTime(),
            logger: Logger(label: "test")
        )
        defer { server.stop() }
        return try body(directory)
    }

    private static func lastAnswer(to line: [UInt8], on socket: ControlSocket) throws -> ControlAnswer {
        try socket.write(line)
        while let line = try socket.readLine(limit: ControlCoding.lineLimit) {
            let answer = try ControlCoding.message(ControlAnswer.self, from: line)
            if answer.progress == nil { return answer }
        }
        throw Errno.connectionReset
    }

    /// Runs on a thread of its own, as ``answers(_:of:)``.
    private func withServer(_ body: @escaping @Sendable (String) throws -> Void) async throws {
        try await withCheckedThrowingContinuation { done in
            Thread.detachNewThread { done.resume(with: Result { try Self.withServer(of: FakeMount(), body) }) }
        }
    }

    @Test(arguments: [
        "", "garbage", "[]", "{}", #"{"action":"explode"}"#, #"{"action":7}"#, String(repeating: "[", count: 60_000),
    ])
    func whatIsNoRequestIsAnsweredWithAnErrorAndHarmsNobody(line: String) async throws {
        try await withServer { directory in
            let stranger = try ControlSocket.connect(in: directory)
            let answer = try Self.lastAnswer(to: Array((line + "\n").utf8), on: stranger)
            #expect(answer.error?.contains("not understood") == true)
            #expect(try stranger.readLine(limit: 100) == nil)
            let next = try ControlSocket.connect(in: directory)
            let status = try Self.lastAnswer(to: ControlCoding.line(ControlRequest(action: .status)), on: next)
            #expect(status.status != nil)
        }
    }

    @Test func aLineWithoutEndIsCutOffAndHarmsNobody() async throws {
        try await withServer { directory in
            let stranger = try ControlSocket.connect(in: directory)
            #expect(throws: Errno.self) {
                let answer = try Self.lastAnswer(to: [UInt8](repeating: 65, count: 1 << 20), on: stranger)
                Issue.record("answered: \(answer)")
            }
            let next = try ControlSocket.connect(in: directory)
            let status = try Self.lastAnswer(to: ControlCoding.line(ControlRequest(action: .status)), on: next)
            #expect(status.status != nil)
        }
    }

    @Test func moreCommandsThanCanBeServedAreToldSo() async throws {
        try await withServer { directory in
            let waiting = try (0..<32).map { _ in try ControlSocket.connect(in: directory) }
            let surplus = try ControlSocket.connect(in: directory)
            let line = try #require(try surplus.readLine(limit: 1000))
            #expect(try ControlCoding.message(ControlAnswer.self, from: line).error?.contains("too many") == true)
            let status = try Self.lastAnswer(to: ControlCoding.line(ControlRequest(action: .status)), on: waiting[0])
            #expect(status.status != nil)
        }
    }

    @Test(arguments: [1e300, 1e19, -5])
    func aTimeoutBeyondAllBoundsDoesNotHarmTheDaemon(timeout: Double) async throws {
        let told = try await answers([
            ControlRequest(action: .drain, path: "", timeout: timeout), ControlRequest(action: .status),
        ])
        #expect(told[0].remainder != nil)
        #expect(told[1].status != nil)
    }

    @Test func statusIsTold() async throws {
        let answer = try #require(try await answers([ControlRequest(action: .status)]).first)
        #expect(answer.status == (try FakeMount().status()))
    }

    @Test func statusHasTheNamesThatScriptsRelyOn() throws {
        let line = try ControlCoding.line(FakeMount().status())
        let report = try #require(try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any])
        let pending = report["pending"] as? [String: Any]
        let cache = report["cache"] as? [String: Any]
        let rates = report["rates"] as? [String: Any]
        let upload = (report["uploading"] as? [[String: Any]])?.first
        #expect(pending?["files"] as? Int == 2 && pending?["bytes"] as? Int == 300)
        #expect(cache?["used_bytes"] as? Int == 5 && cache?["dirty_bytes"] as? Int == 3)
        #expect(cache?["limit_bytes"] as? Int == 10)
        #expect(rates?["upload_bytes_per_second"] as? Double == 1.5 && rates?["download_bytes_per_second"] != nil)
        #expect(upload?["path"] as? String == "a \"b\"" && upload?["bytes_done"] as? Int == 1)
        #expect(upload?["bytes_total"] as? Int == 4)
        #expect((report["link"] as? [String: Any])?["state"] as? String == "online")
        #expect(report["conflicts"] is [Any] && report["errors"] is [Any])
    }

    @Test func pauseAndResumeReachTheMount() async throws {
        let mount = FakeMount()
        let told = try await answers(
            [ControlRequest(action: .pause), ControlRequest(action: .status), ControlRequest(action: .resume)],
            of: mount
        )
        #expect(told[1].status?.link.state == "paused")
        #expect(!mount.isPaused.withLock { $0 })
    }

    @Test func aDrainThatEndsLeavesNothing() async throws {
        let answer = try #require(try await answers([ControlRequest(action: .drain, path: "", timeout: 120)]).first)
        #expect(answer.remainder?.isNothing == true)
    }

    @Test func aDrainWhoseTimeRunsOutSaysWhatIsLeft() async throws {
        let told = try await answers([
            ControlRequest(action: .drain, path: "stuck", timeout: 0.1), ControlRequest(action: .status),
        ])
        #expect(told[0].remainder == .init(files: 2, bytes: 300, operations: 1))
        #expect(told[1].status != nil)
    }

    @Test func aPathThatIsNotThereIsAnError() async throws {
        let answer = try #require(try await answers([ControlRequest(action: .drain, path: "absent")]).first)
        #expect(answer.error?.contains("no such file") == true)
    }
}

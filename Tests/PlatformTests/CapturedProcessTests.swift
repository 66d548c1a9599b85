import Glibc
import Platform
import SystemPackage
import Testing

struct CapturedProcessTests {
    private static let environment = ["PATH": "/usr/bin:/bin", "GIVEN": "yes"]

    private func run(_ script: String, limit: Int = 1 << 20) throws -> String {
        String(
            decoding: try CapturedProcess.output(
                of: ["sh", "-c", script], environment: Self.environment, timeout: .seconds(60), limit: limit),
            as: UTF8.self)
    }

    @Test func outputIsTakenWholeAndErrorsAreNot() throws {
        #expect(try run("echo out; echo err >&2") == "out\n")
        #expect(try run("head -c 300000 /dev/zero | tr '\\0' x").count == 300_000)
    }

    @Test func aProgramGetsItsEnvironmentAndNothingElse() throws {
        #expect(try run("echo $GIVEN$HOME; cat; ls /proc/self/fd | wc -l") == "yes\n4\n")
    }

    @Test func theWayItEndsIsTold() {
        #expect(throws: CapturedProcess.Failure.exit(7)) { try run("exit 7") }
        #expect(throws: CapturedProcess.Failure.exit(137)) { try run("kill -9 $$") }
        #expect(throws: CapturedProcess.Failure.wroteTooMuch) { try run("exec cat /dev/zero", limit: 100) }
        #expect(throws: CapturedProcess.Failure.start(.noSuchFileOrDirectory)) {
            try CapturedProcess.output(of: ["/no/such"], environment: [:], timeout: .seconds(60), limit: 1)
        }
    }

    @Test func whoClosesItsOutputAndHangsIsKilled() {
        #expect(throws: CapturedProcess.Failure.tookTooLong) {
            try CapturedProcess.output(
                of: ["sh", "-c", "exec >&-; sleep 1000"], environment: Self.environment, timeout: .seconds(1),
                limit: 1)
        }
    }

    @Test func aGroupThatOutlivesItsLeaderIsKilled() throws {
        // The grandchild holds none of the descriptors that are waited for.
        let child = try run("sleep 1000 >&- 2>&- & echo $!").trimmingPrefix { $0.isWhitespace }
        let number = try #require(Int32(child.prefix { $0.isNumber }))
        for _ in 0..<60_000 where isRunning(number) { usleep(1000) }
        #expect(!isRunning(number))
    }

    private func isRunning(_ process: Int32) -> Bool {
        guard let file = try? FileDescriptor.open("/proc/\(process)/stat", .readOnly) else { return false }
        defer { try? file.close() }
        var bytes = [UInt8](repeating: 0, count: 512)
        let count = (try? bytes.withUnsafeMutableBytes { try file.read(into: $0) }) ?? 0
        return count > 0 && !String(decoding: bytes.prefix(count), as: UTF8.self).contains(") Z ")
    }
}

import Foundation
import ObjectStore
import Platform
import Testing

@testable import S3

struct ProcessCredentialsTests {
    private static let now = SystemTime().wall

    /// A home whose profile runs a shell script.
    private func withScript<Value>(_ script: String, _ body: (AWSHome) async throws -> Value) async throws -> Value {
        let home = try AWSHome()
        defer { home.remove() }
        try home.write(script, "give keys.sh")
        let path = home.directory.appending(path: ".aws/give keys.sh").path(percentEncoded: false)
        try home.write("[default]\ncredential_process = /bin/sh \"\(path)\" '$HOME' a\\ b\n", "config")
        return try await body(home)
    }

    private func failure(_ home: AWSHome, timeout: Duration = .seconds(60)) async throws -> StoreError? {
        let settings = try home.settings()
        let source = ProcessCredentials(
            ProfileFiles(settings: settings), environment: ["PATH": "/usr/bin:/bin"], timeout: timeout)
        let question = try #require(try source.question())
        do {
            _ = try await source.ask(question)
            return nil
        } catch { return error }
    }

    @Test func aProgramGivesKeysAndNoShellReadsItsCommand() async throws {
        let script = #"""
            printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s","SessionToken":"t",' "$1" "$2-$#" | tr ' ' _
            echo '"Expiration":"2096-10-02T07:06:40+00:00"}'
            """#
        try await withScript(script) { home in
            let credentials = try await home.chain(["PATH": "/usr/bin:/bin"]).credentials(at: Self.now)
            #expect(
                credentials
                    == Credentials(
                        accessKeyID: "$HOME", secretAccessKey: "a_b-2", sessionToken: "t",
                        expiration: Timestamp(seconds: 4_000_000_000)))
        }
    }

    @Test func whatItSaysOnStandardErrorIsNotTold() async throws {
        try await withScript("echo secret-word >&2; echo other-secret; exit 3") { home in
            let error = try await failure(home)
            #expect(error?.kind == .noCredentials)
            #expect(error?.message.contains("ended with 3") == true)
            #expect(error?.message.contains("secret") == false)
        }
    }

    @Test func aProgramThatHangsIsKilledWithItsChildren() async throws {
        try await withScript("sleep 1000 & echo $! > \"$(dirname \"$0\")/child\"; wait") { home in
            let error = try await failure(home, timeout: .seconds(2))
            #expect(error?.message.contains("gave nothing") == true)
            let file = home.directory.appending(path: ".aws/child")
            let child = try #require(
                Int32(try String(contentsOf: file, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)))
            for _ in 0..<6000 where isRunning(child) { try await Task.sleep(for: .milliseconds(10)) }
            #expect(!isRunning(child))
        }
    }

    /// A killed orphan may wait for its new parent.
    private func isRunning(_ process: Int32) -> Bool {
        let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        return status.map { !$0.contains(") Z ") } ?? false
    }

    @Test func endlessOutputIsCut() async throws {
        try await withScript("exec cat /dev/zero") { home in
            let error = try await failure(home)
            #expect(error?.message.contains("over 64 KiB") == true)
        }
    }

    @Test(arguments: ["", "{}", "{\"Version\":2,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"B\"}", "no JSON", "[1]"])
    func whatIsNoDocumentIsAReason(_ output: String) async throws {
        try await withScript("printf '%s' '\(output)'") { home in
            let error = try await failure(home)
            #expect(error?.kind == .noCredentials)
        }
    }

    @Test func keysThatWouldBreakAHeaderAreRefused() async throws {
        let output = #"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"B","SessionToken":"x\r\nHost: evil"}"#
        try await withScript("cat <<'E'\n\(output)\nE") { home in
            let error = try await failure(home)
            #expect(error?.message.contains("not printable") == true)
            #expect(error?.message.contains("evil") == false)
        }
    }

    @Test func aProgramThatIsNotThereIsNamed() async throws {
        let home = try AWSHome(config: "[default]\ncredential_process = /no/such/program\n")
        defer { home.remove() }
        #expect(try await failure(home)?.message.contains("cannot be started") == true)
    }

    @Test(
        arguments: [
            ("a b  c", ["a", "b", "c"]), (#"a "b c" d"#, ["a", "b c", "d"]), ("a 'b \"c' ''", ["a", "b \"c", ""]),
            (#"a\ b "c\"d" "e\f""#, ["a b", "c\"d", "e\\f"]), ("'a'\"b\"c", ["abc"]), ("", []),
            ("'\u{301}a b'", ["\u{301}a b"]), ("$(x) `y` ; z|w", ["$(x)", "`y`", ";", "z|w"]), ("'open", nil),
            ("end\\", nil), ("\"", nil),
        ] as [(String, [String]?)])
    func commandsAreSplitIntoWords(_ command: String, _ words: [String]?) {
        #expect(CommandWords.split(command) == words)
    }
}

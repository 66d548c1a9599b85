import Foundation
import ObjectStore
import Platform
import Testing

@testable import S3

/// Each source of temporary keys against a server that plays its part.
struct CredentialsSourcesTests {
    private typealias Reply = FaultServer.Reply

    private static let now = SystemTime().wall
    private static let expected = Credentials(
        accessKeyID: "TEMPORARY", secretAccessKey: "hidden", sessionToken: "token",
        expiration: Timestamp(seconds: 4_000_000_000))
    private static let document =
        #"{"Code":"Success","AccessKeyId":"TEMPORARY","SecretAccessKey":"hidden","Token":"token","#
        + #""Expiration":"2096-10-02T07:06:40Z"}"#

    /// Those that are asked over HTTP.
    enum Service: CaseIterable, Sendable {
        case webIdentity
        case sso
        case ssoOlderForm
        case container
        case instance
    }

    /// What points a chain to the server, and what the server answers when all is well.
    private static func environment(_ service: Service, _ home: AWSHome, port: Int) throws -> [String: String] {
        let url = "http://127.0.0.1:\(port)"
        switch service {
        case .webIdentity:
            try home.write("the-token\n", "web-token")
            return [
                "AWS_WEB_IDENTITY_TOKEN_FILE": "~/.aws/web-token", "AWS_ROLE_ARN": "arn:aws:iam::1:role/r",
                "AWS_ENDPOINT_URL_STS": url,
            ]
        case .sso:
            try home.write(
                """
                [default]
                sso_session = work
                sso_account_id = 123
                sso_role_name = reader
                [sso-session work]
                sso_region = eu-north-1
                sso_start_url = https://x.awsapps.com/start
                """, "config")
            try home.writeToken("work", #"{"accessToken":"login","expiresAt":"2096-10-02T07:06:40Z"}"#)
            return ["AWS_ENDPOINT_URL_SSO": url]
        case .ssoOlderForm:
            try home.write(
                """
                [default]
                sso_start_url = https://x.awsapps.com/start
                sso_region = eu-north-1
                sso_account_id = 123
                sso_role_name = reader
                """, "config")
            try home.writeToken(
                "https://x.awsapps.com/start", #"{"accessToken":"login","expiresAt":"2096-10-02T07:06:40UTC"}"#)
            return ["AWS_ENDPOINT_URL_SSO": url]
        case .container:
            return [
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": "\(url)/keys?x=1",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": "Bearer b",
            ]
        case .instance:
            return ["AWS_EC2_METADATA_SERVICE_ENDPOINT": url, "AWS_EC2_METADATA_DISABLED": "false"]
        }
    }

    private static func good(_ service: Service, _ request: FaultServer.Request) -> Reply {
        switch service {
        case .webIdentity:
            .xml(
                """
                <AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
                <AssumeRoleWithWebIdentityResult><Audience>a</Audience><Credentials>
                <SessionToken>token</SessionToken><SecretAccessKey>hidden</SecretAccessKey>
                <Expiration>2096-10-02T07:06:40Z</Expiration><AccessKeyId>TEMPORARY</AccessKeyId>
                </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>
                """)
        case .sso, .ssoOlderForm:
            .xml(
                #"{"roleCredentials":{"accessKeyId":"TEMPORARY","secretAccessKey":"hidden","sessionToken":"token","#
                    + #""expiration":4000000000000}}"#)
        case .container: .xml(document)
        case .instance: instance(request)
        }
    }

    /// An instance that speaks version 2 alone.
    private static func instance(_ request: FaultServer.Request) -> Reply {
        let roles = "/latest/meta-data/iam/security-credentials/"
        switch (request.method, request.target) {
        case ("PUT", "/latest/api/token") where request.headers["x-aws-ec2-metadata-token-ttl-seconds"] == "21600":
            return .xml("session")
        case ("GET", _) where request.headers["x-aws-ec2-metadata-token"] != "session": return Reply(status: 401)
        case ("GET", roles): return .xml("robot role\n")
        case ("GET", roles + "robot%20role"): return .xml(document)
        default: return Reply(status: 404)
        }
    }

    private func withHome<Value>(_ body: (AWSHome) async throws -> Value) async throws -> Value {
        let home = try AWSHome()
        defer { home.remove() }
        return try await body(home)
    }

    private func failure(_ chain: CredentialsChain) async -> StoreError? {
        do {
            _ = try await chain.credentials(at: Self.now)
            return nil
        } catch { return error }
    }

    @Test(arguments: Service.allCases) func keysAreFetchedOnceAndKept(_ service: Service) async throws {
        try await withHome { home in
            let server = try FaultServer { _, request in Self.good(service, request) }
            defer { server.stop() }
            let chain = try home.chain(try Self.environment(service, home, port: server.port))
            for _ in 0..<3 { #expect(try await chain.credentials(at: Self.now) == Self.expected) }
            #expect(server.requests.count == (service == .instance ? 3 : 1))
        }
    }

    @Test(arguments: Service.allCases, ["", "{", "[]", #"{"AccessKeyId":7}"#, "<a", "<a/>", "null", "\u{0}"])
    func whatIsNoDocumentIsAReasonWithoutKeys(_ service: Service, _ text: String) async throws {
        try await withHome { home in
            let server = try FaultServer { _, request in
                service == .instance && request.method == "PUT" ? .xml("session") : .xml(text)
            }
            defer { server.stop() }
            let error = await failure(try home.chain(try Self.environment(service, home, port: server.port)))
            #expect(error?.kind == .noCredentials)
        }
    }

    @Test(arguments: Service.allCases)
    func anEndlessAnswerARefusalAndAHangUpAreReasons(_ service: Service) async throws {
        try await withHome { home in
            let huge = Reply(body: [UInt8](repeating: 0x20, count: 2 << 20))
            for reply in [huge, Reply(status: 500), Reply(status: 302, headers: ["Location": "http://127.0.0.1:1/"])] {
                let server = try FaultServer { _, _ in reply }
                defer { server.stop() }
                let error = await failure(try home.chain(try Self.environment(service, home, port: server.port)))
                #expect(error?.kind == .noCredentials)
                #expect(server.requests.count == 1, "a redirect is not followed")
            }
        }
    }

    @Test(arguments: Service.allCases) func whoNeverAnswersIsGivenUp(_ service: Service) async throws {
        try await withHome { home in
            let server = try FaultServer { _, _ in Reply(claimedLength: 10, stalls: true) }
            defer { server.stop() }
            let environment = try Self.environment(service, home, port: server.port)
            let settings = try home.settings(environment)
            let http = CredentialsHTTP(patience: .milliseconds(200))
            let profile = ProfileFiles(settings: settings)
            switch service {
            case .webIdentity: try await expectFailure(WebIdentityCredentials(settings, profile, region: "r", http))
            case .sso, .ssoOlderForm:
                try await expectFailure(SSOCredentials(settings, profile, http, time: SystemTime()))
            case .container: try await expectFailure(ContainerCredentials(environment: environment, http))
            // Who does not answer is nobody: other machines are no instances.
            case .instance:
                let source = InstanceCredentials(environment: environment, http)
                let question = try #require(try source.question())
                #expect(try await source.ask(question) == nil)
            }
        }
    }

    private func expectFailure<Source: CredentialsSource>(_ source: Source) async throws {
        let question = try #require(try source.question())
        await #expect(throws: StoreError.self) { try await source.ask(question) }
    }

    @Test func aWebTokenGoesToTheRegionalServiceInAFormAndNotIntoMessages() async throws {
        try await withHome { home in
            let server = try FaultServer { _, _ in
                .xml(
                    "<ErrorResponse><Error><Code>InvalidIdentityToken</Code><Message>the-token is bad</Message>"
                        + "</Error></ErrorResponse>", status: 400)
            }
            defer { server.stop() }
            let error = await failure(try home.chain(try Self.environment(.webIdentity, home, port: server.port)))
            #expect(error?.message.contains("InvalidIdentityToken") == true)
            #expect(error?.message.contains("the-token") == false)
            let body = String(decoding: server.requests.first?.body ?? [], as: UTF8.self)
            #expect(body.contains("WebIdentityToken=the-token") && body.contains("RoleSessionName=sluice"))
            #expect(body.contains("RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"))
            #expect(server.requests.first?.target == "/")
        }
    }

    @Test func aLoginThatHasExpiredOrIsMissingSaysSo() async throws {
        try await withHome { home in
            let server = try FaultServer { _, request in Self.good(.sso, request) }
            defer { server.stop() }
            let environment = try Self.environment(.sso, home, port: server.port)
            try home.writeToken("work", #"{"accessToken":"login","expiresAt":"2001-01-01T00:00:00Z"}"#)
            let chain = try home.chain(environment)
            #expect(await failure(chain)?.message.contains("log in again") == true)
            try home.writeToken("work", #"{"accessToken":"login","expiresAt":"2096-10-02T07:06:40Z", "x": 1}"#)
            #expect(try await chain.credentials(at: Self.now) == Self.expected, "a new login counts at once")
            #expect(server.requests.count == 1)
            #expect(server.requests.first?.headers["x-amz-sso_bearer_token"] == "login")
            #expect(server.requests.first?.target == "/federation/credentials?account_id=123&role_name=reader")
        }
    }

    @Test func aContainersTokenComesFromTheFileIfThereIsOne() async throws {
        try await withHome { home in
            let server = try FaultServer { _, _ in .xml(Self.document) }
            defer { server.stop() }
            var environment = try Self.environment(.container, home, port: server.port)
            #expect(try await home.chain(environment).credentials(at: Self.now) == Self.expected)
            #expect(server.requests.last?.headers["authorization"] == "Bearer b")
            try home.write("from-file\n", "token")
            environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = home.directory.appending(path: ".aws/token").path()
            #expect(try await home.chain(environment).credentials(at: Self.now) == Self.expected)
            #expect(server.requests.last?.headers["authorization"] == "from-file")
            #expect(server.requests.last?.target == "/keys?x=1")
        }
    }

    @Test(
        arguments: [
            ("http://example.com/", false), ("http://169.254.169.254/", false), ("http://127.0.0.1.evil.com/", false),
            ("http://127.1/", false), ("ftp://127.0.0.1/", false), ("http://127.0.0.1@evil.com/", false),
            ("http://user@127.0.0.1/", false), ("nonsense", false),
            ("https://example.com/", true), ("http://localhost:1/x", true), ("http://127.9.9.9/", true),
            ("http://[::1]:9/", true), ("http://169.254.170.2/x", true), ("http://169.254.170.23/x", true),
            ("http://[fd00:ec2::23]/x", true),
        ])
    func onlyContainersHostsAreAskedWithoutTLS(_ url: String, _ isAllowed: Bool) throws {
        let source = ContainerCredentials(
            environment: ["AWS_CONTAINER_CREDENTIALS_FULL_URI": url], CredentialsHTTP())
        let question = (try? source.question()) ?? nil
        #expect((question != nil) == isAllowed)
    }

    @Test(arguments: [("/v2/keys", "http://169.254.170.2/v2/keys"), ("@evil.com/", nil), ("evil", nil)])
    func aRelativeAddressIsOfTheContainersHost(_ path: String, _ url: String?) throws {
        let source = ContainerCredentials(
            environment: ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": path], CredentialsHTTP())
        let question = (try? source.question()) ?? nil
        #expect(question?.url == url)
    }

    @Test func anInstanceThatSpeaksOnlyVersion1IsNotAskedForKeys() async throws {
        try await withHome { home in
            let server = try FaultServer { _, request in
                request.method == "PUT" ? Reply(status: 403) : .xml(Self.document)
            }
            defer { server.stop() }
            let error = await failure(try home.chain(try Self.environment(.instance, home, port: server.port)))
            #expect(error?.kind == .noCredentials)
            #expect(server.requests.map(\.method) == ["PUT"])
        }
    }

    @Test func metadataThatAreSwitchedOffAreNotAskedFor() async throws {
        try await withHome { home in
            let server = try FaultServer { _, request in Self.good(.instance, request) }
            defer { server.stop() }
            var environment = try Self.environment(.instance, home, port: server.port)
            environment["AWS_EC2_METADATA_DISABLED"] = "TRUE"
            let error = await failure(try home.chain(environment))
            #expect(error?.message.contains("metadata") == false)
            #expect(server.requests.isEmpty)
        }
    }
}

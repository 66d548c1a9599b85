import Foundation
import ObjectStore
import Platform
import TestKit
import Testing

@testable import S3

struct CredentialsTests {
    private static let now = Timestamp(seconds: 1_750_000_000)

    private static let files = """
        [default]
        aws_access_key_id = DEFAULT
        aws_secret_access_key=secret=with=equals

        # a comment
        [robot]
        aws_access_key_id = ROBOT
        aws_secret_access_key = s
        aws_session_token = t
        """

    @Test func theEnvironmentComesFirst() async throws {
        let home = try AWSHome(credentials: Self.files)
        defer { home.remove() }
        let keys = ["AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "e", "AWS_SESSION_TOKEN": ""]
        let chain = try home.chain(keys)
        #expect(try await chain.credentials(at: Self.now) == Credentials(accessKeyID: "ENV", secretAccessKey: "e"))
    }

    @Test func aProfileNamedByTheUserGoesBeforeTheEnvironment() async throws {
        let home = try AWSHome(credentials: Self.files)
        defer { home.remove() }
        let keys = ["AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "e"]
        let chain = CredentialsChain(settings: try home.settings(keys, profile: "robot"))
        #expect(
            try await chain.credentials(at: Self.now)
                == Credentials(accessKeyID: "ROBOT", secretAccessKey: "s", sessionToken: "t")
        )
    }

    @Test func filesHaveDefaultAndNamedProfiles() async throws {
        let home = try AWSHome(
            credentials: Self.files,
            config: "[profile other]\naws_access_key_id=O\naws_secret_access_key=o\n"
        )
        defer { home.remove() }
        let find = { (environment: [String: String]) in
            try await CredentialsChain(settings: try home.settings(environment)).credentials(at: Self.now)
        }
        #expect(try await find([:]) == Credentials(accessKeyID: "DEFAULT", secretAccessKey: "secret=with=equals"))
        #expect(try await find(["AWS_PROFILE": "robot"])?.sessionToken == "t")
        #expect(try await find(["AWS_PROFILE": "other"])?.accessKeyID == "O")
    }

    @Test func filesMayLieElsewhere() async throws {
        let home = try AWSHome()
        defer { home.remove() }
        try home.write(Self.files, "elsewhere")
        let path = home.directory.appending(path: ".aws/elsewhere").path()
        let chain = CredentialsChain(settings: try home.settings(["AWS_SHARED_CREDENTIALS_FILE": path]))
        #expect(try await chain.credentials(at: Self.now)?.accessKeyID == "DEFAULT")
    }

    @Test func aChangedFileIsReadAgain() async throws {
        let home = try AWSHome(credentials: Self.files)
        defer { home.remove() }
        let chain = CredentialsChain(settings: try home.settings())
        #expect(try await chain.credentials(at: Self.now)?.accessKeyID == "DEFAULT")
        try home.write("[default]\naws_access_key_id = ROTATED\naws_secret_access_key = n\n", "credentials")
        #expect(try await chain.credentials(at: Self.now)?.accessKeyID == "ROTATED")
    }

    @Test func withoutKeysTheErrorSaysWhereWasLooked() async throws {
        let home = try AWSHome()
        defer { home.remove() }
        let chain = CredentialsChain(settings: try home.settings())
        await #expect {
            try await chain.credentials(at: Self.now)
        } throws: { error in
            guard let error = error as? StoreError else { return false }
            return error.kind == .noCredentials && error.message.contains("AWS_ACCESS_KEY_ID")
                && error.message.contains("\(home.directory.path())/.aws/credentials".replacing("//", with: "/"))
        }
    }

    @Test func halfAKeyIsAnError() async throws {
        let home = try AWSHome(credentials: "[default]\naws_access_key_id = X\n")
        defer { home.remove() }
        await #expect(throws: StoreError.self) {
            try await CredentialsChain(settings: try home.settings()).credentials(at: Self.now)
        }
    }

    @Test func theChainHasTheOrderOfAWS() async throws {
        let home = try AWSHome(
            credentials: "[both]\naws_access_key_id = FILE\naws_secret_access_key = f\n",
            config: """
                [profile both]
                aws_access_key_id = CONFIG
                aws_secret_access_key = c
                credential_process = /bin/false
                [profile process]
                aws_access_key_id = CONFIG
                aws_secret_access_key = c
                credential_process = /bin/false
                """)
        defer { home.remove() }
        #expect(try await home.chain(profile: "both").credentials(at: Self.now)?.accessKeyID == "FILE")
        await #expect(throws: StoreError.self) { try await home.chain(profile: "process").credentials(at: Self.now) }
    }

    @Test func aRoleOfAnotherProfileIsRefusedAndNotReplacedByOtherKeys() async throws {
        let home = try AWSHome(
            credentials: Self.files,
            config: "[profile robot]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = default\n")
        defer { home.remove() }
        await #expect {
            try await home.chain(["AWS_PROFILE": "robot"]).credentials(at: Self.now)
        } throws: { error in
            (error as? StoreError)?.message.contains("credential_process") == true
        }
    }

    @Test func filesOfKeysThatOthersMayReadAreWarnedOf() throws {
        let home = try AWSHome(credentials: Self.files)
        defer { home.remove() }
        let path = home.directory.appending(path: ".aws/credentials").path()
        for (mode, count) in [(0o600, 0), (0o640, 1), (0o604, 1)] {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            #expect(try home.settings().warnings.count == count)
        }
    }

    @Test func aDescriptionShowsNoSecret() {
        let keys = Credentials(accessKeyID: "ID", secretAccessKey: "hidden", sessionToken: "hidden-too")
        var text = ""
        dump(keys, to: &text)
        for text in [text, "\(keys)", String(reflecting: keys), String(reflecting: [keys])] {
            #expect(!text.contains("hidden"))
        }
    }

    @Test func aProfileThatIsNowhereIsAnError() throws {
        let home = try AWSHome(credentials: Self.files)
        defer { home.remove() }
        #expect(throws: S3ConfigurationError.self) { try home.settings(["AWS_PROFILE": "typo"]) }
    }

    @Test func regionAndEndpointHaveTheirPrecedence() throws {
        let home = try AWSHome(
            config: """
                [default]
                region = eu-north-1
                endpoint_url = http://profile:1
                s3 =
                    addressing_style = virtual
                [profile special]
                services = local
                endpoint_url = http://profile:2
                [services local]
                s3 =
                  endpoint_url = http://service:3
                dynamodb =
                  endpoint_url = http://wrong:4
                """
        )
        defer { home.remove() }
        #expect(try home.settings().region == "eu-north-1")
        #expect(try home.settings(["AWS_DEFAULT_REGION": "a-b-1"]).region == "a-b-1")
        #expect(try home.settings(["AWS_DEFAULT_REGION": "a-b-1", "AWS_REGION": "c-d-1"]).region == "c-d-1")
        #expect(try home.settings().addressingStyle == .virtual)
        #expect(try home.settings().endpointURL == "http://profile:1")
        #expect(try home.settings(profile: "special").endpointURL == "http://service:3")
        #expect(try home.settings(["AWS_ENDPOINT_URL": "http://e:5"]).endpointURL == "http://e:5")
        let both = ["AWS_ENDPOINT_URL": "http://e:5", "AWS_ENDPOINT_URL_S3": "http://e:6"]
        #expect(try home.settings(both).endpointURL == "http://e:6")
        #expect(try home.settings(["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"]).endpointURL == nil)
        let explicit = try S3Configuration(bucket: "b", settings: home.settings(both), endpointURL: "http://flag:7")
        #expect(explicit.endpoint?.description == "http://flag:7")
        #expect(explicit.region == "eu-north-1")
    }
}

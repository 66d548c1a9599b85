import Foundation
import ObjectStore
import Platform

/// Keys of a role for somebody who has logged in with `aws sso login`: of the token that the login left in
/// `~/.aws/sso/cache` ("IAM Identity Center credential provider", AWS SDKs and tools reference). The token itself is
/// not renewed here.
struct SSOCredentials: CredentialsSource {
    struct Question: Equatable, Sendable {
        var tokenFile: String
        /// A new login is a new question.
        var stamp: FileStamp?
        var endpoint: String
        var account: String
        var role: String
    }

    private struct Token: Decodable {
        var accessToken: String
        var expiresAt: String
    }

    private struct Answer: Decodable {
        struct Role: Decodable {
            var accessKeyId: String
            var secretAccessKey: String
            var sessionToken: String
            /// Milliseconds since 1970.
            var expiration: Int64
        }

        var roleCredentials: Role
    }

    private static let timeout = Duration.seconds(15)

    private let settings: AWSSettings
    private let profile: ProfileFiles
    private let http: CredentialsHTTP
    private let time: any TimeSource

    init(_ settings: AWSSettings, _ profile: ProfileFiles, _ http: CredentialsHTTP, time: any TimeSource) {
        self.settings = settings
        self.profile = profile
        self.http = http
        self.time = time
    }

    var place: String { "the login of profile \"\(profile.name)\" (aws sso login)" }

    /// The name of the token's file is that of the session, or in the older form of the start URL.
    func question() throws(StoreError) -> Question? {
        let content = try profile.content()
        let sessionName = content.value("sso_session")
        guard let account = content.value("sso_account_id"), let role = content.value("sso_role_name"),
            let name = sessionName ?? content.value("sso_start_url")
        else { return nil }
        guard let region = sessionName == nil ? content.value("sso_region") : content.session.nonEmpty("sso_region"),
            S3Configuration.isRegion(region)
        else { throw StoreError(.noCredentials, message: "\(place): no usable sso_region") }
        let digest = Checksum.hex(Checksum.digest(.sha1, of: name.utf8))
        let file = "\(settings.home)/.aws/sso/cache/\(digest).json"
        return Question(
            tokenFile: file, stamp: FileStamp(file), endpoint: try endpoint(region), account: account, role: role)
    }

    func ask(_ question: Question) async throws(StoreError) -> Credentials? {
        let token = try Self.token(try SecretFile.bytes(question.tokenFile), at: time.wall, place)
        let query = SigV4.canonicalQuery([("account_id", question.account), ("role_name", question.role)])
        let request = CredentialsHTTP.request(
            .get, "\(question.endpoint)/federation/credentials?\(query)",
            headers: [("x-amz-sso_bearer_token", token)], timeout: Self.timeout)
        let response: HTTPResponse
        do { response = try await http.send(request) } catch {
            throw StoreError(
                .noCredentials, message: "\(place): \(question.endpoint) cannot be reached: \(error.message)")
        }
        guard response.isSuccess else {
            let advice = response.status == 401 ? ": log in again" : ""
            throw StoreError(.noCredentials, message: "\(place) is refused with HTTP \(response.status)\(advice)")
        }
        return try Self.credentials(response.body, place)
    }

    /// The token in a file of the login. Throws `.noCredentials` also for one that has expired.
    static func token(_ bytes: [UInt8], at time: Timestamp, _ place: String) throws(StoreError) -> String {
        guard let token = try? JSONDecoder().decode(Token.self, from: Data(bytes)),
            !token.accessToken.isEmpty, token.accessToken.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
        else { throw StoreError(.noCredentials, message: "\(place) has left no usable token") }
        // Older tools wrote "UTC" for "Z".
        let text = token.expiresAt.hasSuffix("UTC") ? token.expiresAt.dropLast(3) + "Z" : token.expiresAt
        guard try CredentialsDocument.moment(text, place) > time else {
            throw StoreError(.noCredentials, message: "\(place) has expired: log in again")
        }
        return token.accessToken
    }

    /// Throws `.noCredentials`.
    static func credentials(_ bytes: [UInt8], _ place: String) throws(StoreError) -> Credentials {
        guard let role = try? JSONDecoder().decode(Answer.self, from: Data(bytes)).roleCredentials else {
            throw StoreError(.noCredentials, message: "\(place): the answer holds no credentials")
        }
        let expiration = Timestamp(
            seconds: role.expiration / 1000, nanoseconds: role.expiration % 1000 * 1_000_000)
        return try Credentials.checked(
            role.accessKeyId, role.secretAccessKey, role.sessionToken, expiration: expiration, from: place)
    }

    private func endpoint(_ region: String) throws(StoreError) -> String {
        do {
            if let url = settings.endpointURL(of: "sso") { return try S3Endpoint(url: url).description }
        } catch {
            throw StoreError(.noCredentials, message: "\(place): \(error.message)")
        }
        return "https://portal.sso.\(region).\(S3Endpoint.domain(of: region))"
    }
}

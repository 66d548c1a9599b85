import ObjectStore
import Platform

/// Keys of a role for a token that a file holds: AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, or the profile's
/// settings ("AssumeRoleWithWebIdentity", AWS STS API reference).
struct WebIdentityCredentials: CredentialsSource {
    struct Question: Equatable, Sendable {
        var tokenFile: String
        var role: String
        var session: String
    }

    private static let timeout = Duration.seconds(15)

    private let settings: AWSSettings
    private let profile: ProfileFiles
    private let region: String
    private let http: CredentialsHTTP

    init(_ settings: AWSSettings, _ profile: ProfileFiles, region: String, _ http: CredentialsHTTP) {
        self.settings = settings
        self.profile = profile
        self.region = region
        self.http = http
    }

    var place: String { "web identity (AWS_WEB_IDENTITY_TOKEN_FILE)" }

    func question() throws(StoreError) -> Question? {
        let content = try profile.content()
        // A profile that was named goes before the environment.
        let environment = settings.profileIsExplicit ? [:] : settings.environment
        let file =
            environment.nonEmpty("AWS_WEB_IDENTITY_TOKEN_FILE") ?? content.value("web_identity_token_file")
        guard let file else { return nil }
        guard let role = environment.nonEmpty("AWS_ROLE_ARN") ?? content.value("role_arn") else {
            throw StoreError(.noCredentials, message: "\(place): no role is named (AWS_ROLE_ARN, role_arn)")
        }
        let session =
            environment.nonEmpty("AWS_ROLE_SESSION_NAME") ?? content.value("role_session_name") ?? "sluice"
        return Question(tokenFile: settings.expanded(file), role: role, session: session)
    }

    func ask(_ question: Question) async throws(StoreError) -> Credentials? {
        let token = try SecretFile.text(question.tokenFile)
        let endpoint = try endpoint()
        let form = SigV4.canonicalQuery([
            ("Action", "AssumeRoleWithWebIdentity"), ("Version", "2011-06-15"), ("RoleArn", question.role),
            ("RoleSessionName", question.session), ("WebIdentityToken", token),
        ])
        var request = CredentialsHTTP.request(
            .post, "\(endpoint)/", headers: [("Content-Type", "application/x-www-form-urlencoded")],
            timeout: Self.timeout)
        request.body = .bytes(Array(form.utf8))
        let response: HTTPResponse
        do { response = try await http.send(request) } catch {
            throw StoreError(.noCredentials, message: "\(place): \(endpoint) cannot be reached: \(error.message)")
        }
        return try STSAnswer.credentials(response, from: "\(place): \(endpoint)")
    }

    /// The regional one, as the token must not leave the region's partition.
    private func endpoint() throws(StoreError) -> String {
        do {
            if let url = settings.endpointURL(of: "sts") { return try S3Endpoint(url: url).description }
        } catch {
            throw StoreError(.noCredentials, message: "\(place): \(error.message)")
        }
        return "https://sts.\(region).\(S3Endpoint.domain(of: region))"
    }
}

import ObjectStore

/// Keys of the role of an EC2 instance, by version 2 of its metadata service alone: a token first, which requests that
/// somebody else can make the machine send do not have ("Use IMDSv2", Amazon EC2 user guide).
struct InstanceCredentials: CredentialsSource {
    struct Question: Equatable, Sendable {
        var endpoint: String
    }

    /// Of each of three requests. Nobody at all answers where the machine is no instance.
    private static let timeout = Duration.seconds(1)
    private static let tokenLife = "21600"
    private static let roles = "/latest/meta-data/iam/security-credentials/"

    private let environment: [String: String]
    private let http: CredentialsHTTP

    init(environment: [String: String], _ http: CredentialsHTTP) {
        self.environment = environment
        self.http = http
    }

    var place: String { "the instance's metadata service" }

    func question() throws(StoreError) -> Question? {
        if environment["AWS_EC2_METADATA_DISABLED"]?.lowercased() == "true" { return nil }
        guard let url = environment.nonEmpty("AWS_EC2_METADATA_SERVICE_ENDPOINT") else {
            let isIPv6 = environment["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"]?.lowercased() == "ipv6"
            return Question(endpoint: isIPv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254")
        }
        do {
            return Question(endpoint: try S3Endpoint(url: url).description)
        } catch {
            throw StoreError(.noCredentials, message: "AWS_EC2_METADATA_SERVICE_ENDPOINT: \(error.message)")
        }
    }

    func ask(_ question: Question) async throws(StoreError) -> Credentials? {
        guard let token = try await token(question) else { return nil }
        let header = (name: "X-aws-ec2-metadata-token", value: token)
        guard let list = try await get(question.endpoint + Self.roles, header) else {
            throw StoreError(.noCredentials, message: "\(place) knows no role of this instance")
        }
        let role = String(decoding: list.prefix { $0 != 10 && $0 != 13 }, as: UTF8.self)
        guard (1...256).contains(role.utf8.count) else {
            throw StoreError(.noCredentials, message: "\(place) names no role")
        }
        guard let document = try await get(question.endpoint + Self.roles + PercentEncoding.query(role), header) else {
            throw StoreError(.noCredentials, message: "\(place) has no keys for the role that it names")
        }
        return try CredentialsDocument.credentials(document, from: place)
    }

    /// Nil if nobody is there, or who is there speaks no version 2.
    private func token(_ question: Question) async throws(StoreError) -> String? {
        let request = request(
            .put, question.endpoint + "/latest/api/token",
            (name: "X-aws-ec2-metadata-token-ttl-seconds", value: Self.tokenLife))
        let response: HTTPResponse
        do { response = try await http.send(request) } catch {
            if error.kind == .unreachable { return nil }
            throw StoreError(.noCredentials, message: "\(place): \(error.message)")
        }
        let isToken =
            response.isSuccess && (1...1024).contains(response.body.count)
            && response.body.allSatisfy { (0x21...0x7e).contains($0) }
        guard isToken else {
            if [403, 404, 405].contains(response.status) { return nil }
            throw StoreError(
                .noCredentials, message: "\(place) gave no token of its version 2 (HTTP \(response.status))")
        }
        return String(decoding: response.body, as: UTF8.self)
    }

    /// Nil for what is not there.
    private func get(_ url: String, _ header: (name: String, value: String)) async throws(StoreError) -> [UInt8]? {
        let response: HTTPResponse
        do { response = try await http.send(request(.get, url, header)) } catch {
            throw StoreError(.noCredentials, message: "\(place): \(error.message)")
        }
        if response.status == 404 { return nil }
        guard response.isSuccess else {
            throw StoreError(.noCredentials, message: "\(place) answers with HTTP \(response.status)")
        }
        return response.body
    }

    private func request(
        _ method: HTTPRequest.Method, _ url: String, _ header: (name: String, value: String)
    ) -> HTTPRequest {
        var request = CredentialsHTTP.request(method, url, headers: [header], timeout: Self.timeout)
        request.isDirect = true
        return request
    }
}

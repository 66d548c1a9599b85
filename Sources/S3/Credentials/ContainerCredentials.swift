import Foundation
import ObjectStore

/// Keys that the host of a container serves ("Container credential provider", AWS SDKs and tools reference).
struct ContainerCredentials: CredentialsSource {
    struct Question: Equatable, Sendable {
        var url: String
        var tokenFile: String?
    }

    private static let timeout = Duration.seconds(5)
    /// Amazon ECS; Amazon EKS, of both families.
    private static let knownHosts: Set = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"]

    private let environment: [String: String]
    private let http: CredentialsHTTP

    init(environment: [String: String], _ http: CredentialsHTTP) {
        self.environment = environment
        self.http = http
    }

    var place: String { "the container's host (AWS_CONTAINER_CREDENTIALS_…)" }

    func question() throws(StoreError) -> Question? {
        guard let url = try url() else { return nil }
        return Question(url: url, tokenFile: environment.nonEmpty("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
    }

    func ask(_ question: Question) async throws(StoreError) -> Credentials? {
        var headers = [(name: "Accept", value: "application/json")]
        // The token in a file is renewed there.
        let token =
            try question.tokenFile.map { (path) throws(StoreError) in try SecretFile.text(path) }
            ?? environment.nonEmpty("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        if let token { headers.append(("Authorization", token)) }
        var request = CredentialsHTTP.request(.get, question.url, headers: headers, timeout: Self.timeout)
        request.isDirect = true
        let response: HTTPResponse
        do { response = try await http.send(request) } catch {
            throw StoreError(.noCredentials, message: "\(place) cannot be reached: \(error.message)")
        }
        guard response.isSuccess else {
            throw StoreError(.noCredentials, message: "\(place) refuses with HTTP \(response.status)")
        }
        return try CredentialsDocument.credentials(response.body, from: place)
    }

    /// Throws `.noCredentials` for an address to which no token may be sent.
    private func url() throws(StoreError) -> String? {
        if let path = environment.nonEmpty("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            guard path.hasPrefix("/"), let url = URL(string: "http://169.254.170.2\(path)"),
                url.host() == "169.254.170.2"
            else { throw Self.refusal("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path") }
            return url.absoluteString
        }
        guard let text = environment.nonEmpty("AWS_CONTAINER_CREDENTIALS_FULL_URI") else { return nil }
        guard let url = URL(string: text), let host = url.host(), url.user() == nil else {
            throw Self.refusal("AWS_CONTAINER_CREDENTIALS_FULL_URI is no URL")
        }
        guard url.scheme == "https" || (url.scheme == "http" && Self.isNear(host)) else {
            throw Self.refusal(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor of this machine or a container's host")
        }
        return url.absoluteString
    }

    private static func isNear(_ host: String) -> Bool {
        let host = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
        if host == "localhost" || host == "[::1]" || knownHosts.contains(host) { return true }
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 4 && numbers[0] == "127" && numbers.allSatisfy { UInt8($0) != nil }
    }

    private static func refusal(_ message: String) -> StoreError { StoreError(.noCredentials, message: message) }
}

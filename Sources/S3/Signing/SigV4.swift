import ObjectStore
import Platform

/// AWS Signature Version 4 for S3: the `Authorization` header of a request. Pure: the clock is passed in.
///
/// Rules: "Create a signed AWS API request" (IAM user guide) and "Authenticating Requests: Using the Authorization
/// Header" (S3 API): the path is encoded once and never normalised.
struct SigV4: Sendable {
    /// What is signed of a request.
    struct Request: Sendable {
        var method: String
        /// Encoded, as it goes on the wire.
        var path: String
        /// Encoded and sorted, as it goes on the wire; see ``SigV4/canonicalQuery(_:)``.
        var query: String
        /// All of these are signed, `host` and `x-amz-*` among them; names in any case.
        var headers: [(name: String, value: String)]
        /// Hexadecimal SHA-256 of the body, or `UNSIGNED-PAYLOAD`.
        var payloadHash: String
    }

    static let unsignedPayload = "UNSIGNED-PAYLOAD"
    /// SHA-256 of nothing.
    static let emptyPayloadHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    private static let algorithm = "AWS4-HMAC-SHA256"

    var region: String
    var service = "s3"
    var time: CalendarTime

    init(region: String, time: Timestamp) {
        self.region = region
        self.time = CalendarTime(time)
    }

    /// `20130524/us-east-1/s3/aws4_request`.
    var scope: String { "\(time.basicDate)/\(region)/\(service)/aws4_request" }

    /// Names and values encoded, sorted by encoded name and then value.
    static func canonicalQuery(_ parameters: [(name: String, value: String)]) -> String {
        parameters
            .map { (name: PercentEncoding.query($0.name), value: PercentEncoding.query($0.value)) }
            .sorted { $0.name == $1.name ? $0.value < $1.value : $0.name < $1.name }
            .map { "\($0.name)=\($0.value)" }
            .joined(separator: "&")
    }

    func canonicalRequest(_ request: Request) -> String {
        let headers = canonicalHeaders(request)
        return """
            \(request.method)
            \(request.path)
            \(request.query)
            \(headers.map { "\($0.name):\($0.value)\n" }.joined())
            \(signedHeaders(headers))
            \(request.payloadHash)
            """
    }

    func stringToSign(_ request: Request) -> String {
        let digest = Checksum.digest(.sha256, of: canonicalRequest(request).utf8)
        return "\(Self.algorithm)\n\(time.basic)\n\(scope)\n\(Checksum.hex(digest))"
    }

    func signature(_ request: Request, secret: String) -> String {
        Checksum.hex(Checksum.hmacSHA256(key: signingKey(secret), stringToSign(request).utf8))
    }

    /// The value of the `Authorization` header.
    func authorization(_ request: Request, credentials: Credentials) -> String {
        let names = signedHeaders(canonicalHeaders(request))
        let signature = signature(request, secret: credentials.secretAccessKey)
        return "\(Self.algorithm) Credential=\(credentials.accessKeyID)/\(scope),SignedHeaders=\(names),"
            + "Signature=\(signature)"
    }

    private func signingKey(_ secret: String) -> [UInt8] {
        [time.basicDate, region, service, "aws4_request"].reduce(Array("AWS4\(secret)".utf8)) { key, part in
            Checksum.hmacSHA256(key: key, part.utf8)
        }
    }

    /// Names in lower case and sorted; runs of blanks in values become one.
    private func canonicalHeaders(_ request: Request) -> [(name: String, value: String)] {
        request.headers
            .map { (name: $0.name.lowercased(), value: Self.collapsingBlanks($0.value)) }
            .sorted { $0.name < $1.name }
    }

    private func signedHeaders(_ headers: [(name: String, value: String)]) -> String {
        headers.map(\.name).joined(separator: ";")
    }

    private static func collapsingBlanks(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) else { return value }
        return value.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
    }
}

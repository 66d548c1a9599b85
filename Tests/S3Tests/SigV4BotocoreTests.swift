import Foundation
import ObjectStore
import Platform
import Testing

@testable import S3

/// Compares with what botocore signs: requests with odd keys, queries and headers. `Fixtures/SigV4/generate_sigv4.py` wrote the
/// expected values.
struct SigV4BotocoreTests {
    struct Vector: Decodable, Sendable, CustomTestStringConvertible {
        var method: String
        var key: String
        var query: [[String]]
        var headers: [[String]]
        var payloadHash: String
        var sessionToken: String?
        var url: String
        var authorization: String

        var testDescription: String { "\(method) \(key) \(query)" }
    }

    static func vectors() throws -> [Vector] {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/SigV4/sigv4.json")
        return try JSONDecoder().decode([Vector].self, from: Data(contentsOf: file))
    }

    @Test func signsAsBotocore() throws {
        let vectors = try Self.vectors()
        #expect(vectors.count >= 30)
        for vector in vectors { check(vector) }
    }

    private func check(_ vector: Vector) {
        let credentials = Credentials(
            accessKeyID: "AKIAIOSFODNN7EXAMPLE",
            secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            sessionToken: vector.sessionToken
        )
        let signer = SigV4(region: "eu-central-1", time: Timestamp(seconds: 1_767_225_599))
        let path = "/bucket/" + PercentEncoding.path(vector.key)
        let query = SigV4.canonicalQuery(vector.query.map { ($0[0], $0[1]) })
        var headers = vector.headers.map { (name: $0[0], value: $0[1]) }
        headers += [
            ("host", "127.0.0.1:8333"), ("x-amz-date", signer.time.basic),
            ("x-amz-content-sha256", vector.payloadHash),
        ]
        if let token = vector.sessionToken { headers.append(("x-amz-security-token", token)) }
        let request = SigV4.Request(
            method: vector.method,
            path: path,
            query: query,
            headers: headers,
            payloadHash: vector.payloadHash
        )
        // botocore separates the three fields by a comma and a blank; both forms are legal.
        let expected = vector.authorization.replacingOccurrences(of: ", ", with: ",")
        #expect(signer.authorization(request, credentials: credentials) == expected, "\(vector)")
        #expect("http://127.0.0.1:8333" + path + (query.isEmpty ? "" : "?" + query) == vector.url, "\(vector)")
    }
}

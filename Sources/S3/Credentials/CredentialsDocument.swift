import Foundation
import ObjectStore
import Platform

/// The JSON in which programs, containers and instances give keys ("Sourcing credentials with an external process",
/// AWS SDKs and tools reference; "IAM roles for tasks"; "Retrieve security credentials from instance metadata").
///
/// Whatever is wrong is told without quoting what may be a secret.
struct CredentialsDocument: Decodable, Sendable {
    private let version: Int?
    private let code: String?
    private let accessKeyID: String?
    private let secretAccessKey: String?
    /// The name of programs.
    private let sessionToken: String?
    /// The name of services.
    private let token: String?
    private let expiration: String?

    private enum CodingKeys: String, CodingKey {
        case version = "Version"
        case code = "Code"
        case accessKeyID = "AccessKeyId"
        case secretAccessKey = "SecretAccessKey"
        case sessionToken = "SessionToken"
        case token = "Token"
        case expiration = "Expiration"
    }

    /// - Parameters:
    ///   - giver: who gave it, for messages.
    ///   - needsVersion: whether `"Version": 1` must be there.
    /// - Throws: `.noCredentials`.
    static func credentials(
        _ bytes: [UInt8], from giver: String, needsVersion: Bool = false
    ) throws(StoreError) -> Credentials {
        guard let document = try? JSONDecoder().decode(Self.self, from: Data(bytes)) else {
            throw StoreError(.noCredentials, message: "\(giver) gave no JSON document of credentials")
        }
        if needsVersion, document.version != 1 {
            throw StoreError(.noCredentials, message: "\(giver) gave a document whose Version is not 1")
        }
        if let code = document.code, code != "Success" {
            throw StoreError(.noCredentials, message: "\(giver) refuses: \(Self.printable(code))")
        }
        guard let id = document.accessKeyID, let secret = document.secretAccessKey else {
            throw StoreError(.noCredentials, message: "\(giver) gave no AccessKeyId or no SecretAccessKey")
        }
        return try Credentials.checked(
            id, secret, document.sessionToken ?? document.token,
            expiration: try document.expiration.map { (text) throws(StoreError) in try moment(text, giver) },
            from: giver)
    }

    /// Throws `.noCredentials`.
    static func moment(_ text: String, _ giver: String) throws(StoreError) -> Timestamp {
        guard let moment = CalendarTime(iso8601: text.utf8) else {
            throw StoreError(.noCredentials, message: "\(giver) gave an expiration that is no time")
        }
        return moment.timestamp
    }

    /// A word of the other side, short and without anything that a terminal would obey.
    static func printable(_ text: String) -> String {
        String(
            text.unicodeScalars.prefix(200).map { $0.isASCII && $0.value >= 0x20 && $0.value < 0x7f ? $0 : "?" }
                .map(Character.init))
    }
}

extension Credentials {
    /// Keys that others gave, which become headers. Throws `.noCredentials`.
    static func checked(
        _ id: String, _ secret: String, _ token: String?, expiration: Timestamp?, from giver: String
    ) throws(StoreError) -> Credentials {
        let token = token.flatMap { $0.isEmpty ? nil : $0 }
        let isUsable = [id, secret, token ?? "-"].allSatisfy { text in
            (1...16_384).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
        }
        guard isUsable else {
            throw StoreError(.noCredentials, message: "\(giver) gave keys that are empty or not printable")
        }
        return Credentials(accessKeyID: id, secretAccessKey: secret, sessionToken: token, expiration: expiration)
    }
}

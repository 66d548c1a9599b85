import ObjectStore
import Platform

@testable import S3

/// What gives keys: documents, tokens, files, commands.
enum CredentialsTargets {
    static let all = [documents, logins, files, commands, endpoints]

    private static let words = [
        "\"AccessKeyId\"", "\"SecretAccessKey\"", "\"Token\"", "\"SessionToken\"", "\"Expiration\"", "\"Version\"",
        "\"Code\"", "\"Success\"", "\"accessToken\"", "\"expiresAt\"", "\"roleCredentials\"", "null", "true", ":", ",",
        "\\u0000", "\\ud800", "\\r\\n", "[[[[[[[[", "{\"a\":", "2026-11-28T18:00:00Z", "2096-10-02T07:06:40+00:00",
    ]

    /// Keys become headers.
    static func check(_ keys: Credentials) throws {
        for text in [keys.accessKeyID, keys.secretAccessKey, keys.sessionToken ?? "-"] {
            try require(!text.isEmpty && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }, "a key that is no header")
        }
        try require(
            !"\(keys)".contains(keys.secretAccessKey) || keys.accessKeyID.contains(keys.secretAccessKey)
                || "Credentials(, …)".contains(keys.secretAccessKey), "a description shows the secret")
    }

    private static func accepts(_ parse: () throws -> Credentials) throws {
        do { try check(try parse()) } catch let error as StoreError { try XMLTargets.refused(error, .noCredentials) }
    }

    private static let documents = FuzzTarget(name: "credentials", words: words) { input in
        try accepts { try CredentialsDocument.credentials(input, from: "fuzz") }
        try accepts { try CredentialsDocument.credentials(input, from: "fuzz", needsVersion: true) }
    }

    private static let logins = FuzzTarget(name: "sso", words: words) { input in
        try accepts { try SSOCredentials.credentials(input, "fuzz") }
        do {
            let token = try SSOCredentials.token(input, at: Timestamp(seconds: 1_750_000_000), "fuzz")
            try require(token.utf8.allSatisfy { (0x21...0x7e).contains($0) }, "a token that is no header")
        } catch let error as StoreError { try XMLTargets.refused(error, .noCredentials) }
    }

    private static let files = FuzzTarget(
        name: "aws-config",
        words: ["[default]", "[profile a]", "[sso-session a]", "[services s]", "=", "#", ";", "  ", "\t", "s3 =\n  "]
    ) { input in
        let file = SharedConfigFile(String(decoding: input, as: UTF8.self))
        let sections = [file.section("default"), file.profile("a"), file.session("a"), file.services("s")]
        let size = sections.compactMap(\.self).joined().reduce(0) { $0 + $1.value.utf8.count }
        try require(size <= input.count * 9, "\(size) bytes of \(input.count)")
    }

    private static let commands = FuzzTarget(name: "commands", words: ["'", "\"", "\\", " ", "$(", "`", ";"]) { input in
        guard let words = CommandWords.split(String(decoding: input, as: UTF8.self)) else { return }
        let quoted = words.map { word in
            let pieces = word.unicodeScalars.split(separator: "'", omittingEmptySubsequences: false).map(String.init)
            return "'" + pieces.joined(separator: "'\\''") + "'"
        }
        try require(CommandWords.split(quoted.joined(separator: " ")) == words, "\(words) become others")
    }

    private static let endpoints = FuzzTarget(
        name: "endpoints", words: ["http://", "https://", "[::1]", ":443", "@", "?", "#", "localhost", "127.0.0.1"]
    ) { input in
        guard let endpoint = try? S3Endpoint(url: String(decoding: input, as: UTF8.self)) else { return }
        try require(!endpoint.host.isEmpty && !endpoint.host.contains { "@/?# ".contains($0) }, "\(endpoint.host)")
        try require(try S3Endpoint(url: endpoint.description) == endpoint, "\(endpoint) becomes another")
    }
}

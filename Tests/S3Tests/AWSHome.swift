import Foundation
import ObjectStore

@testable import S3

/// A home directory with AWS files in it.
struct AWSHome {
    let directory: URL

    init(credentials: String? = nil, config: String? = nil) throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "s3-home-\(UUID().uuidString)")
        try FileManager.default.createDirectory(
            at: directory.appending(path: ".aws"),
            withIntermediateDirectories: true
        )
        if let credentials { try write(credentials, "credentials") }
        if let config { try write(config, "config") }
    }

    func write(_ text: String, _ name: String) throws {
        try text.write(to: directory.appending(path: ".aws/\(name)"), atomically: true, encoding: .utf8)
    }

    /// The file of a login, whose name is the digest of `name`.
    func writeToken(_ name: String, _ text: String) throws {
        let directory = directory.appending(path: ".aws/sso/cache")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let digest = Checksum.hex(Checksum.digest(.sha1, of: name.utf8))
        try text.write(to: directory.appending(path: digest + ".json"), atomically: true, encoding: .utf8)
    }

    func remove() { try? FileManager.default.removeItem(at: directory) }

    /// Nobody is asked whether this machine is an instance, unless a test wants it.
    func settings(_ environment: [String: String] = [:], profile: String? = nil) throws -> AWSSettings {
        let usual = ["HOME": directory.path(), "AWS_EC2_METADATA_DISABLED": "true"]
        return try AWSSettings(environment: usual.merging(environment) { $1 }, profile: profile)
    }

    func chain(_ environment: [String: String] = [:], profile: String? = nil) throws -> CredentialsChain {
        CredentialsChain(settings: try settings(environment, profile: profile))
    }
}

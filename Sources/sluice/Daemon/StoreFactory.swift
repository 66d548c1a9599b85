import Logging
import ObjectStore
import S3

/// The bucket behind a source.
struct Bucket: Sendable {
    var store: any ObjectStore
    /// Names the bucket for people and in the state directory: the source, and the endpoint if it is not AWS's.
    var identity: String
    /// What to tell the user at once, such as a connection without encryption.
    var warnings: [String] = []
    /// One cheap request; throws what keeps the bucket from being used.
    var probe: @Sendable () async throws(StoreError) -> Void
}

/// Makes stores from sources. Sends nothing.
enum StoreFactory {
    static func bucket(
        _ source: SourceURL, settings: Settings, environment: [String: String], logger: Logger
    ) throws(CommandFailure) -> Bucket {
        switch source {
        case .directory(let path): try directory(path, source)
        case .s3(let name, let prefix): try s3(name, prefix, source, settings, environment, logger)
        }
    }

    private static func directory(_ path: String, _ source: SourceURL) throws(CommandFailure) -> Bucket {
        do {
            return Bucket(store: try DirectoryStore(path: path), identity: source.description) {}
        } catch {
            throw CommandFailure("cannot use \(source): \(error.message); create the directory, or name another")
        }
    }

    private static func s3(
        _ name: String, _ prefix: String, _ source: SourceURL, _ settings: Settings, _ environment: [String: String],
        _ logger: Logger
    ) throws(CommandFailure) -> Bucket {
        let configuration: S3Configuration
        let credentials: CredentialsChain
        do {
            let aws = try AWSSettings(environment: environment, profile: settings.profile)
            configuration = try S3Configuration(
                bucket: name, settings: aws, endpointURL: settings.endpointURL, region: settings.region,
                addressing: settings.addressing.map { $0 == .path ? .path : .virtual })
            credentials = CredentialsChain(settings: aws)
        } catch {
            throw .usage("\(error)")
        }
        do {
            let store = try S3Store(configuration, credentials: credentials, logger: logger)
            let endpoint = configuration.endpoint
            return Bucket(
                store: prefix.isEmpty ? store : PrefixStore(store, prefix: prefix),
                identity: source.description + (endpoint.map { " at \($0)" } ?? ""),
                warnings: endpoint.map { $0.isTLS ? [] : [plainTextWarning($0)] } ?? []
            ) { () async throws(StoreError) in
                try await store.probe(prefix: prefix)
            }
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    private static func plainTextWarning(_ endpoint: S3Endpoint) -> String {
        "\(endpoint) is not encrypted: names and contents can be read on the way"
    }

    /// What a failed probe means and what to do about it.
    static func advice(on error: StoreError, source: SourceURL) -> String {
        let remedy =
            switch error.kind {
            case .noSuchBucket, .notFound: "create the bucket, or check its name and the endpoint"
            case .noCredentials: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile"
            case .badCredentials: "check the access key and the secret key"
            case .accessDenied: "the key may not list this bucket: grant s3:ListBucket, or use another key"
            case .wrongRegion:
                "name the bucket's region with --region" + (error.region.map { " (\($0))" } ?? "")
            case .clockSkewed: "set this machine's clock"
            case .unreachable: "check the network and the endpoint"
            case .untrusted: "the server's certificate is not trusted: set AWS_CA_BUNDLE to its authority's file"
            default: "see the message above"
            }
        return "cannot use \(source): \(error); \(remedy)"
    }
}

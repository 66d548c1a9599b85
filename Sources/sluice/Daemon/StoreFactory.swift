import CLinux
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

    /// What keeps the bucket from being used; nil if nothing does. No answer in `limit` is one: nobody waits at a
    /// terminal, and no machine at its boot, for all the attempts that a request is worth later.
    func failure(within limit: Duration) async -> StoreError? {
        await withTaskGroup(of: StoreError?.self) { group in
            group.addTask {
                do throws(StoreError) { try await probe() } catch { return error }
                return nil
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return StoreError(.unreachable, message: "no answer within \(limit / .seconds(1)) s")
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
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
            throw CommandFailure(
                "cannot use \(source): \(error.message); create the directory, check its owner and permissions, or name another"
            )
        }
    }

    private static func s3(
        _ name: String, _ prefix: String, _ source: SourceURL, _ settings: Settings, _ environment: [String: String],
        _ logger: Logger
    ) throws(CommandFailure) -> Bucket {
        var configuration: S3Configuration
        let credentials: CredentialsChain
        let aws: AWSSettings
        do {
            aws = try AWSSettings(environment: environment, profile: settings.profile)
            configuration = try S3Configuration(
                bucket: name, settings: aws, endpointURL: settings.endpointURL, region: settings.region,
                addressing: settings.addressing.map { $0 == .path ? .path : .virtual })
            credentials = CredentialsChain(settings: aws, region: configuration.region)
        } catch {
            throw .usage("\(error)")
        }
        if let bundle = settings.caBundle { configuration.caBundle = ControlClient.absolute(bundle) }
        if let bundle = configuration.caBundle, access(bundle, R_OK) != 0 {
            throw .usage("the certificates of ca_bundle (or AWS_CA_BUNDLE) cannot be read: \(bundle)")
        }
        do {
            let store = try S3Store(configuration, credentials: credentials, logger: logger)
            let endpoint = configuration.endpoint
            return Bucket(
                store: prefix.isEmpty ? store : PrefixStore(store, prefix: prefix),
                identity: source.description + (endpoint.map { " at \($0)" } ?? ""),
                warnings: (endpoint.map { $0.isTLS || $0.isLoopback ? [] : [plainTextWarning($0)] } ?? [])
                    + aws.warnings
            ) { () async throws(StoreError) in
                try await store.probe(prefix: prefix)
            }
        } catch {
            throw CommandFailure("\(error)")
        }
    }

    private static func plainTextWarning(_ endpoint: S3Endpoint) -> String {
        "\(endpoint) is not encrypted: names and contents can be read and changed on the way; use https"
    }

    private static func trustRemedy(_ reason: String) -> String {
        if reason.contains("not yet valid") || reason.contains("expired") {
            return "set this machine's clock, or have the certificate renewed"
        }
        if reason.contains("subject name") { return "check the host name of the endpoint" }
        return "name the file of the authority that signed the server's certificate with -o ca_bundle=FILE"
    }

    /// What a failed probe means and what to do about it.
    static func advice(on error: StoreError, source: SourceURL) -> String {
        let remedy =
            switch error.kind {
            case .noSuchBucket, .notFound: "create the bucket, or check its name and the endpoint"
            case .noCredentials:
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with --profile, or see "
                    + "docs/configuration.md for other ways"
            case .badCredentials: "check the access key and the secret key"
            case .accessDenied: "the key may not list this bucket: grant s3:ListBucket, or use another key"
            case .wrongRegion:
                "name the bucket's region with --region" + (error.region.map { " (\($0))" } ?? "")
            case .clockSkewed: "set this machine's clock"
            case .unreachable: "check the network and the endpoint"
            case .untrusted: trustRemedy(error.message)
            case .throttled, .serverFault: "the service has a fault of its own: try again later"
            case .localFault: "check the keys and the options for stray characters"
            case .badAnswer, .refused, .unsupported, .archived, .conflict, .corrupted, .invalidKey, .invalidPart,
                .invalidRange, .noSuchUpload, .preconditionFailed, .tooLarge, .cancelled:
                "check that the endpoint is an S3 service"
            }
        return "cannot use \(source): \(error); \(remedy)"
    }
}

extension StoreError {
    /// Refusals of keys that end by themselves and are replaced by new ones.
    private static let temporaryCodes: Set = ["ExpiredToken", "TokenRefreshRequired"]

    /// Whether a bucket that was used before may be usable again without anybody putting anything right: no network
    /// or clock yet at the boot, credentials that come later, a login page in the way, a service that is down.
    var mayPass: Bool {
        switch kind {
        case .unreachable, .noCredentials, .throttled, .serverFault, .clockSkewed, .untrusted: true
        case .badCredentials: Self.temporaryCodes.contains(code)
        case .notFound, .noSuchBucket, .accessDenied, .wrongRegion, .preconditionFailed, .conflict,
            .invalidRange, .noSuchUpload, .invalidPart, .corrupted, .tooLarge, .invalidKey, .archived, .unsupported,
            .badAnswer, .localFault, .cancelled, .refused:
            false
        }
    }
}

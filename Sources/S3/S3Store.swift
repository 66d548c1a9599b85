import Logging
import ObjectStore
import Platform

/// A bucket of Amazon S3 or of a store that speaks its API.
///
/// Every call is one operation with a bounded number of attempts. Bodies of objects are sent with a signed checksum, and
/// without a SHA-256 in the signature: Content-MD5, which all stores know and which is their ETag; for parts the CRC-64 of
/// NVMe where the store has it, which takes less than half the time.
public struct S3Store: ObjectStore {
    let client: S3Client

    /// Starts the transport's thread, which ends when the last copy of the store is gone. Nothing is sent yet.
    /// - Parameters:
    ///   - random: the source of jitter.
    ///   - traffic: told of every piece of a body that moves.
    /// - Throws: `.localFault`.
    public init(
        _ configuration: S3Configuration,
        credentials: any CredentialsProvider,
        time: any TimeSource = SystemTime(),
        random: any RandomNumberGenerator & Sendable = SystemRandom(),
        traffic: (any TrafficObserver)? = nil,
        logger: Logger
    ) throws(StoreError) {
        client = try S3Client(
            configuration: configuration,
            credentials: credentials,
            time: time,
            random: random,
            traffic: traffic,
            logger: logger
        )
    }

    public var multipartLimits: MultipartLimits { client.configuration.multipartLimits }

    /// The bucket's region: the configured one, or the one that the store named instead.
    public var region: String { client.region }

    /// One cheap request that tells whether the bucket can be reached and listed with these credentials.
    ///
    /// A listing of one key and not HeadBucket: it needs the same permission (s3:ListBucket), and its refusal has a
    /// body that says why. Throws `.noSuchBucket`, `.badCredentials`, `.accessDenied` and the like.
    /// - Parameter prefix: what will be mounted; a policy may allow no more.
    public func probe(prefix: String = "") async throws(StoreError) {
        do {
            _ = try await list(prefix: prefix, delimiter: nil, continuation: nil, limit: 1)
        } catch  where error.kind == .notFound {
            var error = error
            error.kind = .noSuchBucket
            throw error
        }
    }
}

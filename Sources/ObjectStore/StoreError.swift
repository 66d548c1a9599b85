/// Why a request to a store failed: what kind of failure, and what the store said.
public struct StoreError: Error, Equatable, Sendable {
    public enum Kind: Equatable, Sendable {
        /// No object at the key (404 NoSuchKey; a bare 404 to HEAD).
        case notFound
        case noSuchBucket
        /// 403 AccessDenied: the credentials are valid but may not do this.
        case accessDenied
        /// The store does not know the key or the signature is wrong (InvalidAccessKeyId, SignatureDoesNotMatch, …).
        case badCredentials
        /// No source of credentials had any.
        case noCredentials
        /// The bucket is in another region; `region` names it if the store did.
        case wrongRegion
        /// The clocks differ by more than the store accepts (RequestTimeTooSkewed).
        case clockSkewed
        /// 412: the condition on a write or read did not hold.
        case preconditionFailed
        /// 409 ConditionalRequestConflict, OperationAborted: a race in the store; the same request may be sent again.
        case conflict
        /// 416: the range lies outside the object.
        case invalidRange
        case noSuchUpload
        /// Parts that the store does not have or refuses (InvalidPart, InvalidPartOrder, EntityTooSmall).
        case invalidPart
        /// What arrived is not what was sent (BadDigest, XAmzContentSHA256Mismatch), or the reverse.
        case corrupted
        /// EntityTooLarge and the like.
        case tooLarge
        /// KeyTooLongError, or a key the store cannot hold.
        case invalidKey
        /// In an archive tier (InvalidObjectState).
        case archived
        /// 429, 503 SlowDown and their relatives.
        case throttled
        /// 5xx that is not throttling.
        case serverFault
        /// No connection, DNS failure, TLS failure, time-out, a stall: no answer from a server.
        case unreachable
        /// The server's certificate or name cannot be trusted.
        case untrusted
        /// The store does not implement it (501, NotImplemented).
        case unsupported
        /// The answer breaks the protocol (unreadable XML, missing header, absurd size).
        case badAnswer
        /// Reading the source or writing the sink failed on this machine.
        case localFault
        /// The task was cancelled.
        case cancelled
        /// Any other refusal.
        case refused
    }

    public var kind: Kind
    /// The store's error code, such as `NoSuchKey`; empty if there was none.
    public var code: String
    /// A sentence for people. Never holds a secret.
    public var message: String
    /// The store's id of the request; empty if there was none.
    public var requestID: String
    /// HTTP status; 0 if there was no HTTP answer.
    public var status: Int
    /// The region the store named in a redirect.
    public var region: String?

    public init(
        _ kind: Kind, code: String = "", message: String, requestID: String = "", status: Int = 0,
        region: String? = nil
    ) {
        self.kind = kind
        self.code = code
        self.message = message
        self.requestID = requestID
        self.status = status
        self.region = region
    }

    /// Whether sending the same request again may succeed without anybody changing anything.
    public var isTransient: Bool {
        switch kind {
        case .conflict, .corrupted, .throttled, .serverFault, .unreachable: true
        case .notFound, .noSuchBucket, .accessDenied, .badCredentials, .noCredentials, .wrongRegion, .clockSkewed,
            .preconditionFailed, .invalidRange, .noSuchUpload, .invalidPart, .tooLarge, .invalidKey, .archived,
            .untrusted, .unsupported, .badAnswer, .localFault, .cancelled, .refused:
            false
        }
    }

    /// Whether the failure says that no request can pass now, rather than something about one request. A
    /// certificate that cannot be trusted is somebody else's in the way, such as that of a login page.
    public var isLinkFailure: Bool { kind == .unreachable || kind == .untrusted || isKeyFailure }

    /// Whether no request can pass before there are other credentials: there are none, or the store refuses them.
    public var isKeyFailure: Bool { kind == .noCredentials || kind == .badCredentials }

    /// Whether the version that was named is not at the key any more, or a condition is not met.
    public var isOutdated: Bool { kind == .notFound || kind == .preconditionFailed }
}

extension StoreError: CustomStringConvertible {
    public var description: String {
        var text = message
        if !code.isEmpty { text += " [\(code)]" }
        if status != 0 { text += " (HTTP \(status))" }
        if !requestID.isEmpty { text += " request \(requestID)" }
        return text
    }
}

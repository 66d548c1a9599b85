import ObjectStore

/// One S3 operation before it is addressed, dated and signed.
struct S3Request: Sendable {
    var method: HTTPRequest.Method
    /// Nil for operations on the bucket.
    var key: ObjectKey?
    var query: [(name: String, value: String)] = []
    /// Those of the operation; `host`, `x-amz-date` and the like come with the signature.
    var headers: [(name: String, value: String)] = []
    var body: HTTPRequest.Body = .none
    /// Of the body, if there is one.
    var digest: BodyDigest?
    var receiver: (any BodyReceiver)?
    var bodyLimit = HTTPRequest.usualBodyLimit
    /// Whether the store may work for minutes before it answers.
    var isSlow = false
}

/// Where a bucket's requests go: the host they are sent to and the path before the key.
struct BucketAddress: Equatable, Sendable {
    var endpoint: S3Endpoint
    /// Encoded; empty, or starts with a slash and does not end with one.
    var path: String

    /// The encoded path of a key, or of the bucket itself.
    func path(of key: String?) -> String {
        guard let key else { return path.isEmpty ? "/" : path }
        return "\(path)/\(PercentEncoding.path(key))"
    }

    func url(path: String, query: String) -> String {
        let base = "\(endpoint.isTLS ? "https" : "http")://\(endpoint.authority)\(path)"
        return query.isEmpty ? base : "\(base)?\(query)"
    }
}

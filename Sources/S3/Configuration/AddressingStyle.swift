/// Where the bucket's name stands in a URL ("Virtual hosting of buckets", S3 user guide).
public enum AddressingStyle: String, Sendable {
    /// Virtual-host style where certificates and DNS allow, path style for custom endpoints.
    case auto
    /// `https://ENDPOINT/BUCKET/KEY`.
    case path
    /// `https://BUCKET.ENDPOINT/KEY`.
    case virtual
}

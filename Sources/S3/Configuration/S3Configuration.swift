import ObjectStore

/// Everything that decides how a bucket is reached. A value: made once, handed in.
public struct S3Configuration: Equatable, Sendable {
    /// The region asked for when nobody names one; AWS answers there with the region of the bucket.
    public static let defaultRegion = "us-east-1"

    public var bucket: String
    public var region: String
    /// Nil for AWS's own endpoint of the region.
    public var endpoint: S3Endpoint?
    public var addressing: AddressingStyle
    public var usesDualStack = false
    public var usesFIPS = false
    /// A PEM file of the only certificates to trust; nil for the system's.
    public var caBundle: String?
    public var timeouts = Timeouts()
    /// Transfers of bodies under way at once; more wait in order. Small requests have as many places of their own, so
    /// that a listing never waits behind uploads.
    public var concurrency = 32
    public var retry = RetryPolicy()
    /// AWS's limits suit every store known; R2 wants parts of one size besides ("Multipart upload", R2 documentation).
    public var multipartLimits = MultipartLimits.s3

    public init(
        bucket: String,
        region: String = defaultRegion,
        endpoint: S3Endpoint? = nil,
        addressing: AddressingStyle = .auto
    ) throws(S3ConfigurationError) {
        guard Self.isPossible(bucket: bucket) else {
            throw S3ConfigurationError("\"\(bucket)\" cannot be the name of a bucket")
        }
        guard Self.isRegion(region) else { throw S3ConfigurationError("\"\(region)\" cannot be a region") }
        self.bucket = bucket
        self.region = region
        self.endpoint = endpoint
        self.addressing = addressing
        multipartLimits.hasEqualParts = endpoint?.host.hasSuffix(".r2.cloudflarestorage.com") == true
    }

    /// What the user asked for, else what the environment and the AWS files say.
    public init(
        bucket: String,
        settings: AWSSettings,
        endpointURL: String? = nil,
        region: String? = nil,
        addressing: AddressingStyle? = nil
    ) throws(S3ConfigurationError) {
        var endpoint: S3Endpoint?
        if let url = endpointURL ?? settings.endpointURL { endpoint = try S3Endpoint(url: url) }
        try self.init(
            bucket: bucket,
            region: region ?? settings.region ?? Self.defaultRegion,
            endpoint: endpoint,
            addressing: addressing ?? settings.addressingStyle
        )
        caBundle = settings.caBundle
        usesDualStack = settings.usesDualStack
        usesFIPS = settings.usesFIPS
    }

    /// The address of the bucket, `region` being the one asked for or the one learned from the store.
    func bucketAddress(region: String) -> BucketAddress {
        let service = endpoint ?? .regional(region, dualStack: usesDualStack, fips: usesFIPS)
        if usesVirtualHost(at: service) {
            let host = service.virtualHost(of: bucket)
            return BucketAddress(endpoint: host, path: host.basePath)
        }
        return BucketAddress(endpoint: service, path: "\(service.basePath)/\(PercentEncoding.path(bucket))")
    }

    private func usesVirtualHost(at service: S3Endpoint) -> Bool {
        switch addressing {
        case .path: false
        case .virtual: true
        case .auto: endpoint == nil && Self.isHostPart(bucket) && !(service.isTLS && bucket.contains("."))
        }
    }

    /// Old buckets and other stores allow more than AWS's present rules; what would change a URL's structure is out.
    private static func isPossible(bucket: String) -> Bool {
        (1...255).contains(bucket.utf8.count) && bucket != "." && bucket != ".."
            && bucket.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }
    }

    /// A region becomes part of a host name, so no more than one label may be: neither a setting nor an answer can send
    /// signed requests elsewhere.
    static func isRegion(_ text: String) -> Bool { !text.contains(".") && isHostPart(text) }

    /// Whether the text is made of DNS labels in lower case.
    private static func isHostPart(_ text: String) -> Bool {
        text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
        }
    }
}

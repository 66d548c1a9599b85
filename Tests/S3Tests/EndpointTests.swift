import Testing

@testable import S3

struct EndpointTests {
    private func configuration(_ bucket: String, _ endpoint: String? = nil, region: String = "eu-west-1") throws
        -> S3Configuration
    {
        try S3Configuration(bucket: bucket, region: region, endpoint: endpoint.map { try S3Endpoint(url: $0) })
    }

    private func url(_ configuration: S3Configuration, _ key: String? = "k") -> String {
        let address = configuration.bucketAddress(region: configuration.region)
        return address.url(path: address.path(of: key), query: "")
    }

    @Test func awsIsAddressedByVirtualHost() throws {
        #expect(url(try configuration("bucket")) == "https://bucket.s3.eu-west-1.amazonaws.com/k")
        #expect(url(try configuration("bucket"), nil) == "https://bucket.s3.eu-west-1.amazonaws.com/")
        #expect(url(try configuration("b", region: "cn-north-1")) == "https://b.s3.cn-north-1.amazonaws.com.cn/k")
    }

    @Test func namesThatNoCertificateCoversGoIntoThePath() throws {
        #expect(url(try configuration("a.b")) == "https://s3.eu-west-1.amazonaws.com/a.b/k")
        #expect(url(try configuration("Old_Bucket")) == "https://s3.eu-west-1.amazonaws.com/Old_Bucket/k")
    }

    @Test func otherStoresAreAddressedByPath() throws {
        #expect(url(try configuration("b", "http://127.0.0.1:8333")) == "http://127.0.0.1:8333/b/k")
        #expect(url(try configuration("b", "http://[::1]:8333/base/")) == "http://[::1]:8333/base/b/k")
        #expect(url(try configuration("b", "https://Host.example:443")) == "https://host.example/b/k")
        #expect(url(try configuration("b", "http://h:443"), nil) == "http://h:443/b")
    }

    @Test func theStyleCanBeChosen() throws {
        var virtual = try configuration("b", "https://s3.example.com")
        virtual.addressing = .virtual
        #expect(url(virtual) == "https://b.s3.example.com/k")
        var path = try configuration("b")
        path.addressing = .path
        #expect(url(path) == "https://s3.eu-west-1.amazonaws.com/b/k")
    }

    @Test func dualStackAndFIPS() throws {
        var configuration = try configuration("b")
        configuration.usesDualStack = true
        #expect(url(configuration) == "https://b.s3.dualstack.eu-west-1.amazonaws.com/k")
        configuration.usesFIPS = true
        #expect(url(configuration) == "https://b.s3-fips.dualstack.eu-west-1.amazonaws.com/k")
    }

    @Test func keysAreEncodedAndNeverNormalised() throws {
        #expect(
            url(try configuration("b"), "a//../ü +%") == "https://b.s3.eu-west-1.amazonaws.com/a//../%C3%BC%20%2B%25"
        )
    }

    @Test(arguments: [
        "", "host", "ftp://h", "http://", "http://u:p@h", "http://h:0", "http://h:99999", "http://h:x", "http://[::1",
        "http://h?q",
    ])
    func whatIsNoEndpointIsRefused(_ url: String) {
        #expect(throws: S3ConfigurationError.self) { try S3Endpoint(url: url) }
    }

    @Test(arguments: ["", ".", "..", "a/b", "a b", "ü"])
    func whatIsNoBucketIsRefused(_ bucket: String) {
        #expect(throws: S3ConfigurationError.self) { try S3Configuration(bucket: bucket) }
    }

    @Test func aRegionCannotRedirectARequest() {
        #expect(throws: S3ConfigurationError.self) { try S3Configuration(bucket: "b", region: "x/evil.example") }
    }
}

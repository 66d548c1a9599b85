import Testing

@testable import S3

struct TransportTrustTests {
    @Test(arguments: [
        "http://127.0.0.1:8333/b", "https://127.4.5.6/",
        "http://localhost/x?y", "http://a.localhost:1/", "http://[::1]/",
        "http://169.254.169.254/latest/api/token", "http://169.254.170.2/v2/credentials",
        "http://[fd00:ec2::254]/latest",
    ])
    func thisMachineIsNeverAskedThroughAProxy(_ url: String) { #expect(ProxyExemption.covers(url)) }

    @Test(arguments: [
        "https://s3.amazonaws.com/b", "https://127.0.0.1.evil.example/", "https://localhost.example/",
        "http://10.0.0.1/169.254.169.254", "http://[fd00::254]/", "http://169.example/",
    ])
    func othersMayBe(_ url: String) { #expect(!ProxyExemption.covers(url)) }

    @Test func loopbackIsKnown() throws {
        for (url, isLoopback) in [
            ("http://127.0.0.1:1", true), ("http://LOCALHOST", true), ("http://[::1]:9", true), ("http://127.1", false),
            ("http://128.0.0.1", false), ("http://127.0.0.256", false), ("http://store", false),
        ] {
            #expect(try S3Endpoint(url: url).isLoopback == isLoopback, "\(url)")
        }
    }
}

/// The address of an S3 service: scheme, host, port and base path of its URL.
public struct S3Endpoint: Equatable, Sendable, CustomStringConvertible {
    public let isTLS: Bool
    /// In lower case; an IPv6 address in brackets.
    public let host: String
    /// Nil when it is the scheme's own.
    public let port: Int?
    /// Empty, or starts with a slash and does not end with one.
    public let basePath: String

    /// Reads `http[s]://HOST[:PORT][/PATH]`.
    public init(url: String) throws(S3ConfigurationError) {
        guard let parts = Self.split(url) else {
            throw S3ConfigurationError("\"\(url)\" is no endpoint URL; expected http[s]://HOST[:PORT][/PATH]")
        }
        self = parts
    }

    private init(isTLS: Bool, host: String, port: Int?, basePath: String) {
        self.isTLS = isTLS
        self.host = host
        self.port = port == (isTLS ? 443 : 80) ? nil : port
        self.basePath = basePath
    }

    /// AWS's own endpoint of a region ("Amazon S3 endpoints and quotas", AWS general reference).
    static func regional(_ region: String, dualStack: Bool = false, fips: Bool = false) -> S3Endpoint {
        let service = (fips ? "s3-fips" : "s3") + (dualStack ? ".dualstack" : "")
        return S3Endpoint(isTLS: true, host: "\(service).\(region).\(domain(of: region))", port: nil, basePath: "")
    }

    /// The domain of all of AWS's services in a region.
    static func domain(of region: String) -> String {
        domains.first { region.hasPrefix($0.prefix) }?.suffix ?? "amazonaws.com"
    }

    /// The partitions whose domain is not amazonaws.com.
    private static let domains = [
        (prefix: "cn-", suffix: "amazonaws.com.cn"), (prefix: "us-isob-", suffix: "sc2s.sgov.gov"),
        (prefix: "us-isof-", suffix: "csp.hci.ic.gov"), (prefix: "eu-isoe-", suffix: "cloud.adc-e.uk"),
        (prefix: "us-iso-", suffix: "c2s.ic.gov"), (prefix: "eusc-", suffix: "amazonaws.eu"),
    ]

    public var description: String { "\(isTLS ? "https" : "http")://\(authority)\(basePath)" }

    /// What stands in the Host header.
    public var authority: String { host + (port.map { ":\($0)" } ?? "") }

    /// Whether it is on this machine (RFC 6761, section 6.3; RFC 1122, section 3.2.1.3).
    public var isLoopback: Bool {
        if host == "localhost" || host.hasSuffix(".localhost") || host == "[::1]" { return true }
        let numbers = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        return numbers.count == 4 && !numbers.contains(nil) && numbers.first == 127
    }

    /// The same service under a bucket's own host name.
    func virtualHost(of bucket: String) -> S3Endpoint {
        S3Endpoint(isTLS: isTLS, host: "\(bucket).\(host)", port: port, basePath: basePath)
    }

    private static func split(_ url: String) -> S3Endpoint? {
        let lower = url.lowercased()
        let isTLS = lower.hasPrefix("https://")
        guard isTLS || lower.hasPrefix("http://") else { return nil }
        let rest = url.dropFirst(isTLS ? 8 : 7)
        guard !rest.contains(where: { $0 == "?" || $0 == "#" || $0 == "@" || $0.isWhitespace }) else { return nil }
        let authority = rest.prefix { $0 != "/" }
        var path = rest.dropFirst(authority.count)
        while path.last == "/" { path.removeLast() }
        guard let (host, port) = hostAndPort(authority) else { return nil }
        return S3Endpoint(isTLS: isTLS, host: host, port: port, basePath: String(path))
    }

    private static func hostAndPort(_ authority: Substring) -> (String, Int?)? {
        let hostEnd =
            authority.first == "["
            ? authority.firstIndex(of: "]").map { authority.index(after: $0) }
            : authority.firstIndex(of: ":") ?? authority.endIndex
        guard let hostEnd else { return nil }
        let host = authority[..<hostEnd].lowercased()
        let rest = authority[hostEnd...]
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { return nil }
        if rest.isEmpty { return (host, nil) }
        guard rest.first == ":", let port = Int(rest.dropFirst()), (1...65_535).contains(port) else { return nil }
        return (host, port)
    }
}

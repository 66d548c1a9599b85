/// Which hosts are never asked through a proxy, whatever `https_proxy` and `no_proxy` say. Pure.
enum ProxyExemption {
    /// This machine, and the addresses at which clouds tell a machine its keys, all of them link-local but one.
    static func covers(_ url: String) -> Bool {
        guard let endpoint = try? S3Endpoint(url: String(url.prefix { $0 != "?" })) else { return false }
        return endpoint.isLoopback || endpoint.host.hasPrefix("169.254.") || endpoint.host.hasPrefix("[fe80:")
            || endpoint.host.hasPrefix("[fd00:ec2:")
    }
}

/// Which hosts are never asked through a proxy, whatever `https_proxy` and `no_proxy` say. Pure.
enum ProxyExemption {
    /// This machine, and the addresses at which clouds tell a machine its keys, all of them link-local but one.
    static func covers(_ url: String) -> Bool {
        guard let endpoint = try? S3Endpoint(url: origin(of: url)) else { return false }
        return endpoint.isLoopback || endpoint.host.hasPrefix("169.254.") || endpoint.host.hasPrefix("[fe80:")
            || endpoint.host.hasPrefix("[fd00:ec2:")
    }

    /// Without path and query, which are long and say nothing of the host.
    private static func origin(of url: String) -> String {
        var slashes = 0
        let end = url.utf8.firstIndex { byte in
            if byte == UInt8(ascii: "/") { slashes += 1 }
            return slashes == 3 || byte == UInt8(ascii: "?")
        }
        return String(url[..<(end ?? url.endIndex)])
    }
}

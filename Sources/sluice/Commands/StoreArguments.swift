import ArgumentParser

/// Options that say how a bucket is reached, and where settings come from.
struct StoreArguments: ParsableArguments {
    @Option(help: "URL of the S3 service, when it is not AWS: http[s]://HOST[:PORT].")
    var endpointURL: String?

    @Option(help: "Region of the bucket.")
    var region: String?

    @Option(help: "Profile of the shared AWS files that has the credentials.")
    var profile: String?

    @Flag(help: "Send the bucket's name in the path of URLs (the default with --endpoint-url).")
    var pathStyle = false

    @Flag(help: "Send the bucket's name in the host name of URLs.")
    var virtualHost = false

    @Option(help: ArgumentHelp("Directory that holds what is not in the bucket yet.", valueName: "dir"))
    var stateDir: String?

    @Option(help: ArgumentHelp("Configuration file (TOML).", valueName: "file"))
    var config: String?

    @Option(
        name: .customShort("o"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Settings, as in the configuration file and in fstab.", valueName: "key=value[,…]"))
    var options: [String] = []

    func validate() throws {
        if pathStyle && virtualHost { throw ValidationError("--path-style and --virtual-host exclude each other.") }
    }

    /// By their configuration keys.
    var flags: [(key: String, value: String)] {
        var flags: [(String, String)] = []
        if let endpointURL { flags.append(("endpoint_url", endpointURL)) }
        if let region { flags.append(("region", region)) }
        if let profile { flags.append(("profile", profile)) }
        if pathStyle { flags.append(("path_style", "true")) }
        if virtualHost { flags.append(("virtual_host", "true")) }
        if let stateDir { flags.append(("state_dir", stateDir)) }
        return flags
    }
}

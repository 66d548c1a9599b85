/// What the environment and the shared AWS files say, by AWS's own precedence. Keys come from
/// ``CredentialsChain``; this is everything else.
public struct AWSSettings: Sendable {
    /// The process's environment.
    public let environment: [String: String]
    public let profile: String
    /// Whether the user named the profile on the command line or in the configuration, not through AWS_PROFILE.
    public let profileIsExplicit: Bool
    public let credentialsFile: String
    public let configFile: String
    /// The user's home directory; empty if nobody says.
    let home: String
    private let config: SharedConfigFile

    /// - Parameters:
    ///   - environment: variables of the process.
    ///   - profile: `--profile`; nil for AWS_PROFILE, AWS_DEFAULT_PROFILE, `default`.
    /// - Throws: when the config file cannot be read, or a profile that was asked for is in neither file.
    public init(environment: [String: String], profile: String? = nil) throws(S3ConfigurationError) {
        self.environment = environment
        home = environment.nonEmpty("HOME") ?? ""
        let asked = profile ?? environment.nonEmpty("AWS_PROFILE") ?? environment.nonEmpty("AWS_DEFAULT_PROFILE")
        self.profile = asked ?? "default"
        profileIsExplicit = profile != nil
        credentialsFile = Self.path(in: environment, variable: "AWS_SHARED_CREDENTIALS_FILE", name: "credentials")
        configFile = Self.path(in: environment, variable: "AWS_CONFIG_FILE", name: "config")
        config = try SharedConfigFile(contentsOf: configFile)
        if let asked, asked != "default", config.profile(asked) == nil,
            try SharedConfigFile(contentsOf: credentialsFile).section(asked) == nil
        {
            throw S3ConfigurationError("there is no profile \"\(asked)\" in \(configFile) or \(credentialsFile)")
        }
    }

    /// AWS_REGION, AWS_DEFAULT_REGION, the profile's `region`.
    public var region: String? {
        environment.nonEmpty("AWS_REGION") ?? environment.nonEmpty("AWS_DEFAULT_REGION")
            ?? profileSettings.nonEmpty("region")
    }

    /// The endpoint of S3; see ``endpointURL(of:)``.
    public var endpointURL: String? { endpointURL(of: "s3") }

    /// AWS_ENDPOINT_URL_(SERVICE), AWS_ENDPOINT_URL, the profile's services section, the profile's `endpoint_url`
    /// ("Service-specific endpoints", AWS SDKs and Tools reference guide).
    /// - Parameter service: `s3`, `sts`, `sso`.
    func endpointURL(of service: String) -> String? {
        if flag("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls") { return nil }
        let services = profileSettings.nonEmpty("services").flatMap { config.services($0) } ?? [:]
        return environment.nonEmpty("AWS_ENDPOINT_URL_\(service.uppercased())")
            ?? environment.nonEmpty("AWS_ENDPOINT_URL") ?? services.nonEmpty("\(service).endpoint_url")
            ?? profileSettings.nonEmpty("endpoint_url")
    }

    /// What to tell the user at once: files of keys that others may read.
    public var warnings: [String] {
        [credentialsFile].filter(SecretFile.isOpenToOthers)
            .map { "\($0) holds keys and may be read by other users of this machine: chmod 600 \($0)" }
    }

    /// A path of a setting, in which `~` is the home directory.
    func expanded(_ path: String) -> String { path.hasPrefix("~/") ? home + path.dropFirst() : path }

    /// AWS_CA_BUNDLE, the profile's `ca_bundle`: a file of certificates to trust.
    public var caBundle: String? {
        environment.nonEmpty("AWS_CA_BUNDLE") ?? profileSettings.nonEmpty("ca_bundle")
    }

    /// The profile's `s3.addressing_style`; words that AWS does not know count as `auto`.
    public var addressingStyle: AddressingStyle {
        profileSettings.nonEmpty("s3.addressing_style").flatMap(AddressingStyle.init(rawValue:)) ?? .auto
    }

    public var usesDualStack: Bool { flag("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint") }
    public var usesFIPS: Bool { flag("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint") }

    private var profileSettings: [String: String] { config.profile(profile) ?? [:] }

    private func flag(_ variable: String, _ setting: String) -> Bool {
        let value = environment.nonEmpty(variable) ?? profileSettings.nonEmpty(setting)
        return value?.lowercased() == "true"
    }

    private static func path(in environment: [String: String], variable: String, name: String) -> String {
        let home = environment.nonEmpty("HOME") ?? ""
        guard let path = environment.nonEmpty(variable) else { return "\(home)/.aws/\(name)" }
        return path.hasPrefix("~/") ? home + path.dropFirst() : path
    }
}

import ObjectStore
import Platform

/// Asks several sources in turn; the first that has keys wins. One that is set up but fails ends the search, so that
/// nobody works by accident as somebody else.
public struct CredentialsChain: CredentialsProvider {
    private let providers: [any CredentialsProvider]

    public init(_ providers: [any CredentialsProvider]) { self.providers = providers }

    /// AWS's order ("Configuration settings and precedence", AWS CLI user guide): environment, web identity, SSO,
    /// credentials file, credential_process, config file, container, instance. A profile named by the user goes before
    /// the environment's keys.
    /// - Parameter region: of the bucket; that of the token service if nothing else names one.
    public init(
        settings: AWSSettings, region: String = S3Configuration.defaultRegion, time: any TimeSource = SystemTime()
    ) {
        let profile = ProfileFiles(settings: settings)
        let http = CredentialsHTTP(caBundle: settings.caBundle)
        let environment = settings.environment
        var providers: [any CredentialsProvider] = []
        if !settings.profileIsExplicit { providers.append(StaticCredentials(environment: environment)) }
        providers += [
            RoleCredentials(profile),
            RefreshingCredentials(WebIdentityCredentials(settings, profile, region: region, http), time: time),
            RefreshingCredentials(SSOCredentials(settings, profile, http, time: time), time: time),
            ProfileCredentials(profile, .credentials),
            RefreshingCredentials(ProcessCredentials(profile, environment: environment), time: time),
            ProfileCredentials(profile, .config),
            RefreshingCredentials(ContainerCredentials(environment: environment, http), time: time),
            RefreshingCredentials(InstanceCredentials(environment: environment, http), time: time),
        ]
        self.init(providers)
    }

    public var place: String { providers.map(\.place).filter { !$0.isEmpty }.joined(separator: ", ") }

    /// Throws `.noCredentials` that says where was looked.
    public func credentials(at time: Timestamp) async throws(StoreError) -> Credentials? {
        for provider in providers {
            if let credentials = try await provider.credentials(at: time) { return credentials }
        }
        throw StoreError(.noCredentials, message: "no credentials found; looked in \(place)")
    }

    public func refused(_ credentials: Credentials) -> Bool {
        providers.reduce(false) { $1.refused(credentials) || $0 }
    }
}

import ObjectStore

/// Asks several sources in turn; the first that has keys wins.
public struct CredentialsChain: CredentialsProvider {
    private let providers: [any CredentialsProvider]

    public init(_ providers: [any CredentialsProvider]) { self.providers = providers }

    /// The environment, then the profile's files. A profile named by the user goes before the environment.
    public init(settings: AWSSettings) {
        let files = ProfileCredentials(settings: settings)
        self.init(
            settings.profileIsExplicit ? [files] : [StaticCredentials(environment: settings.environment), files]
        )
    }

    public var place: String { providers.map(\.place).joined(separator: ", ") }

    /// Throws `.noCredentials` that says where was looked.
    public func credentials() async throws(StoreError) -> Credentials? {
        for provider in providers {
            if let credentials = try await provider.credentials() { return credentials }
        }
        throw StoreError(.noCredentials, message: "no credentials found; looked in \(place)")
    }
}

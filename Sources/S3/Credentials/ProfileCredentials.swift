import ObjectStore
import Platform

/// Keys that stand in a profile's section of one of the shared files.
public struct ProfileCredentials: CredentialsProvider {
    enum File: Sendable {
        case credentials
        case config
    }

    private let profile: ProfileFiles
    private let file: File

    init(_ profile: ProfileFiles, _ file: File) {
        self.profile = profile
        self.file = file
    }

    public var place: String { "profile \"\(profile.name)\" of \(path)" }

    public func credentials(at time: Timestamp) async throws(StoreError) -> Credentials? { try keys() }

    /// Others, if the file was written after these were read.
    public func refused(_ credentials: Credentials) -> Bool {
        guard let keys = (try? keys()) ?? nil else { return false }
        return keys != credentials
    }

    private var path: String {
        switch file {
        case .credentials: profile.credentialsFile
        case .config: profile.configFile
        }
    }

    private func keys() throws(StoreError) -> Credentials? {
        let content = try profile.content()
        let section =
            switch file {
            case .credentials: content.credentials
            case .config: content.config
            }
        guard let id = section.nonEmpty("aws_access_key_id") else { return nil }
        guard let secret = section.nonEmpty("aws_secret_access_key") else {
            throw StoreError(
                .noCredentials,
                message: "profile \"\(profile.name)\" in \(path) has aws_access_key_id but no aws_secret_access_key")
        }
        return Credentials(
            accessKeyID: id, secretAccessKey: secret, sessionToken: section.nonEmpty("aws_session_token"))
    }
}

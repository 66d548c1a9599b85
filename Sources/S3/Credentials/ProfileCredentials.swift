import ObjectStore
import Synchronization

/// Static keys of a profile in `~/.aws/credentials` and `~/.aws/config`. A file is read again when it changed.
public final class ProfileCredentials: CredentialsProvider {
    private struct Memory {
        var stamps: [FileStamp?]?
        var result: Result<Credentials?, StoreError> = .success(nil)
    }

    private let settings: AWSSettings
    private let memory = Mutex(Memory())

    public init(settings: AWSSettings) { self.settings = settings }

    public var place: String {
        "profile \"\(settings.profile)\" of \(settings.credentialsFile) and \(settings.configFile)"
    }

    public func credentials() async throws(StoreError) -> Credentials? {
        let stamps = [FileStamp(settings.credentialsFile), FileStamp(settings.configFile)]
        if let known = memory.withLock({ $0.stamps == stamps ? $0.result : nil }) { return try known.get() }
        let result = Result { () throws(StoreError) in try load() }
        memory.withLock { $0 = Memory(stamps: stamps, result: result) }
        return try result.get()
    }

    /// The credentials file wins over the config file (botocore's order).
    private func load() throws(StoreError) -> Credentials? {
        if let section = try read(settings.credentialsFile).section(settings.profile), !section.isEmpty {
            if let credentials = try keys(of: section, in: settings.credentialsFile) { return credentials }
        }
        let section = try read(settings.configFile).profile(settings.profile)
        return try keys(of: section ?? [:], in: settings.configFile)
    }

    private func read(_ path: String) throws(StoreError) -> SharedConfigFile {
        do {
            return try SharedConfigFile(contentsOf: path)
        } catch {
            throw StoreError(.noCredentials, message: error.message)
        }
    }

    private func keys(of section: [String: String], in path: String) throws(StoreError) -> Credentials? {
        guard let id = section.nonEmpty("aws_access_key_id") else { return nil }
        guard let secret = section.nonEmpty("aws_secret_access_key") else {
            throw StoreError(
                .noCredentials,
                message: "profile \"\(settings.profile)\" in \(path) has aws_access_key_id but no aws_secret_access_key"
            )
        }
        return Credentials(
            accessKeyID: id,
            secretAccessKey: secret,
            sessionToken: section.nonEmpty("aws_session_token")
        )
    }
}

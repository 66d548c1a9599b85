import Glibc
import ObjectStore
import Platform
import Synchronization

/// What `~/.aws/credentials` and `~/.aws/config` say of a profile. A file is read again when it changed.
final class ProfileFiles: Sendable {
    /// The two files at one moment.
    struct Content: Equatable, Sendable {
        /// The profile's section of the credentials file.
        var credentials: [String: String] = [:]
        /// The profile's section of the config file.
        var config: [String: String] = [:]
        /// `[sso-session NAME]` that the profile names.
        var session: [String: String] = [:]

        /// Of both; the credentials file wins.
        func value(_ name: String) -> String? { credentials.nonEmpty(name) ?? config.nonEmpty(name) }
    }

    private struct Memory {
        var stamps: [FileStamp?]?
        var result: Result<Content, StoreError> = .success(Content())
    }

    let name: String
    let credentialsFile: String
    let configFile: String
    private let memory = Mutex(Memory())

    init(settings: AWSSettings) {
        name = settings.profile
        credentialsFile = settings.credentialsFile
        configFile = settings.configFile
    }

    /// Throws `.noCredentials`.
    func content() throws(StoreError) -> Content {
        let stamps = [FileStamp(credentialsFile), FileStamp(configFile)]
        if let known = memory.withLock({ $0.stamps == stamps ? $0.result : nil }) { return try known.get() }
        let result = Result { () throws(StoreError) in try load() }
        memory.withLock { $0 = Memory(stamps: stamps, result: result) }
        return try result.get()
    }

    private func load() throws(StoreError) -> Content {
        do {
            let config = try SharedConfigFile(contentsOf: configFile)
            var content = Content(
                credentials: try SharedConfigFile(contentsOf: credentialsFile).section(name) ?? [:],
                config: config.profile(name) ?? [:])
            content.session = content.value("sso_session").flatMap { config.session($0) } ?? [:]
            return content
        } catch {
            throw StoreError(.noCredentials, message: error.message)
        }
    }
}

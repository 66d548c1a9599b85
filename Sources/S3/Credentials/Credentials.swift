import Platform

/// An access key of AWS or of a compatible store. Its description never shows a secret.
public struct Credentials: Equatable, Sendable {
    public var accessKeyID: String
    public var secretAccessKey: String
    /// Goes with temporary keys.
    public var sessionToken: String?
    /// When temporary keys end, by the clock of who gave them.
    public var expiration: Timestamp?

    public init(
        accessKeyID: String, secretAccessKey: String, sessionToken: String? = nil, expiration: Timestamp? = nil
    ) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.expiration = expiration
    }
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "Credentials(\(accessKeyID), …)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["accessKeyID": accessKeyID]) }
}

import ObjectStore
import Platform

/// Where access keys come from. Asked before every attempt at a request, so an answer must be cheap when nothing
/// changed; keys that were replaced meanwhile are seen at the next attempt.
public protocol CredentialsProvider: Sendable {
    /// Where this source looks, for people: "the environment (AWS_ACCESS_KEY_ID)". Empty if it is not set up.
    var place: String { get }

    /// Nil if this source has none. Throws `.noCredentials` if it has something that cannot be used.
    /// - Parameter time: by the store's clock, as expiry is judged.
    func credentials(at time: Timestamp) async throws(StoreError) -> Credentials?

    /// The store refused these. Whether the next answer may be others.
    func refused(_ credentials: Credentials) -> Bool
}

extension CredentialsProvider {
    /// Keys that somebody has to replace by hand.
    public func refused(_ credentials: Credentials) -> Bool { false }
}

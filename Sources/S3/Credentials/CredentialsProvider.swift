import ObjectStore

/// Where access keys come from. Asked before every attempt at a request, so an answer must be cheap when nothing
/// changed; keys that were replaced meanwhile are seen at the next attempt.
public protocol CredentialsProvider: Sendable {
    /// Where this source looks, for people: "the environment (AWS_ACCESS_KEY_ID)".
    var place: String { get }

    /// Nil if this source has none. Throws `.noCredentials` if it has something that cannot be used.
    func credentials() async throws(StoreError) -> Credentials?
}

import ObjectStore

/// Who gives temporary keys when asked over the network or by running a program. ``RefreshingCredentials`` decides when.
protocol CredentialsSource: Sendable {
    /// Whom to ask, and what, as the settings are at this moment.
    associatedtype Question: Equatable, Sendable

    /// For people.
    var place: String { get }

    /// Nil if the source is not set up. Cheap. Throws `.noCredentials` for a setting that cannot be used.
    func question() throws(StoreError) -> Question?

    /// Asks once, in bounded time. Nil if nobody is there to ask. Throws `.noCredentials` and, when there was no
    /// answer, what the transport throws; messages hold no secret.
    func ask(_ question: Question) async throws(StoreError) -> Credentials?
}

import ObjectStore
import Platform

/// Keys that never change: from the environment, or handed in by a test.
public struct StaticCredentials: CredentialsProvider {
    public let place: String
    private let value: Credentials?

    public init(_ credentials: Credentials?, place: String = "the caller") {
        value = credentials
        self.place = place
    }

    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`. Empty variables count as absent.
    public init(environment: [String: String]) {
        let place = "the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
        guard let id = environment.nonEmpty("AWS_ACCESS_KEY_ID"),
            let secret = environment.nonEmpty("AWS_SECRET_ACCESS_KEY")
        else {
            self.init(nil, place: place)
            return
        }
        self.init(
            Credentials(
                accessKeyID: id,
                secretAccessKey: secret,
                sessionToken: environment.nonEmpty("AWS_SESSION_TOKEN")
            ),
            place: place
        )
    }

    public func credentials(at time: Timestamp) async throws(StoreError) -> Credentials? { value }
}

extension [String: String] {
    /// The value, or nil if it is missing or empty.
    func nonEmpty(_ name: String) -> String? {
        guard let value = self[name], !value.isEmpty else { return nil }
        return value
    }
}

import ObjectStore
import Platform

/// Refuses a profile that assumes a role with another profile's keys: to go on with other keys would be to work as
/// somebody else.
struct RoleCredentials: CredentialsProvider {
    private let profile: ProfileFiles

    init(_ profile: ProfileFiles) { self.profile = profile }

    var place: String { "" }

    func credentials(at time: Timestamp) async throws(StoreError) -> Credentials? {
        let content = try profile.content()
        guard content.value("role_arn") != nil, content.value("web_identity_token_file") == nil,
            let name = ["source_profile", "credential_source"].first(where: { content.value($0) != nil })
        else { return nil }
        throw StoreError(
            .noCredentials,
            message: "profile \"\(profile.name)\" has role_arn with \(name), which sluice does not assume: "
                + "use credential_process = aws configure export-credentials --profile NAME --format process")
    }
}

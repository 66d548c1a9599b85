import ObjectStore
import Platform

/// What AWS's token service answers: keys, or why there are none. Pure.
enum STSAnswer {
    /// - Parameter giver: for messages.
    /// - Throws: `.noCredentials`.
    static func credentials(_ response: HTTPResponse, from giver: String) throws(StoreError) -> Credentials {
        let leaves = Leaves()
        let isReadable: Bool
        do {
            try XMLReader.read(response.body, into: leaves)
            isReadable = true
        } catch { isReadable = false }
        guard response.isSuccess else {
            let code = isReadable ? leaves.fields["Code"].map { " " + CredentialsDocument.printable($0) } : nil
            throw StoreError(.noCredentials, message: "\(giver) refuses:\(code ?? "") HTTP \(response.status)")
        }
        guard isReadable, let id = leaves.fields["AccessKeyId"], let secret = leaves.fields["SecretAccessKey"] else {
            throw StoreError(.noCredentials, message: "\(giver) gave no credentials")
        }
        let expiration = try leaves.fields["Expiration"].map { (text) throws(StoreError) in
            try CredentialsDocument.moment(text, giver)
        }
        return try Credentials.checked(
            id, secret, leaves.fields["SessionToken"], expiration: expiration, from: giver)
    }

    /// The text of the elements that matter, wherever they stand.
    private final class Leaves: XMLHandler {
        private static let names: Set = ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "Code"]
        private(set) var fields: [String: String] = [:]

        func start(_ name: XMLName, depth: Int) {}

        func end(_ name: XMLName, depth: Int, text: UnsafeRawBufferPointer) {
            let name = name.string
            if Self.names.contains(name) { fields[name] = String(decoding: text, as: UTF8.self) }
        }
    }
}

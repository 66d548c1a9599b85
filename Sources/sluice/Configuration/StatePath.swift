import Foundation
import ObjectStore
import S3

/// Where the state directory of a source is when nobody names one.
enum StatePath {
    /// One for each source and endpoint: a readable name and a digest that keeps it apart from others.
    static func path(for identity: String, environment: [String: String], isRoot: Bool) -> String {
        let digest = Checksum.hex(Checksum.digest(.sha256, of: Array(identity.utf8))).prefix(12)
        let readable = identity.map { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == ".") ? $0 : "_" }
        return base(environment, isRoot: isRoot) + "/" + String(readable.prefix(80)) + "-" + digest
    }

    /// Like the XDG base directory specification for users, the file system hierarchy standard for root.
    private static func base(_ environment: [String: String], isRoot: Bool) -> String {
        if isRoot { return "/var/lib/sluice" }
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return state + "/sluice" }
        return (environment["HOME"] ?? NSHomeDirectory()) + "/.local/state/sluice"
    }
}

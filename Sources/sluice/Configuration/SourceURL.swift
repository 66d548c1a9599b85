/// What is mounted: `s3://BUCKET[/PREFIX]`, or `file:///DIRECTORY` for a local directory as the bucket.
enum SourceURL: Equatable, Sendable, CustomStringConvertible {
    /// The prefix is empty or ends in a slash.
    case s3(bucket: String, prefix: String)
    /// An absolute path.
    case directory(String)

    init(_ text: String) throws(CommandFailure) {
        if let rest = Self.rest(of: text, after: "s3://") {
            self = try Self.bucket(rest, text)
        } else if let rest = Self.rest(of: text, after: "file://") {
            self = try Self.directory(rest, text)
        } else {
            throw .usage("\"\(text)\" cannot be mounted: give s3://BUCKET[/PREFIX] or file:///DIRECTORY")
        }
    }

    var description: String {
        switch self {
        case .s3(let bucket, let prefix): "s3://\(bucket)" + (prefix.isEmpty ? "" : "/\(prefix)")
        case .directory(let path): "file://\(path)"
        }
    }

    /// Before the path of a file in its key; empty, or ends in a slash.
    var keyPrefix: String {
        switch self {
        case .s3(_, let prefix): prefix
        case .directory: ""
        }
    }

    private static func rest(of text: String, after scheme: String) -> Substring? {
        text.lowercased().hasPrefix(scheme) ? text.dropFirst(scheme.count) : nil
    }

    private static func bucket(_ rest: Substring, _ text: String) throws(CommandFailure) -> SourceURL {
        let bucket = rest.prefix { $0 != "/" }
        guard !bucket.isEmpty else { throw .usage("\"\(text)\" names no bucket: give s3://BUCKET[/PREFIX]") }
        guard !rest.contains(where: { $0 == "?" || $0 == "#" }), !bucket.contains("@") else {
            throw .usage("\"\(text)\" has more than a bucket and a prefix: options go behind --, keys never into a URL")
        }
        let components = rest.dropFirst(bucket.count).split(separator: "/", omittingEmptySubsequences: true)
        guard !components.contains(where: { $0 == "." || $0 == ".." }) else {
            throw .usage("\"\(text)\": a prefix cannot have the components . and ..")
        }
        let prefix = components.isEmpty ? "" : components.joined(separator: "/") + "/"
        return .s3(bucket: String(bucket), prefix: prefix)
    }

    private static func directory(_ rest: Substring, _ text: String) throws(CommandFailure) -> SourceURL {
        guard rest.hasPrefix("/") else {
            throw .usage("\"\(text)\": give a directory by its absolute path, with three slashes: file:///DIRECTORY")
        }
        var path = rest
        while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
        return .directory(String(path))
    }
}

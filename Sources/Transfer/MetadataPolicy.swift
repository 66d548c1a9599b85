/// Which attributes of files are written into the metadata of objects. What is there is read whatever the policy.
public enum MetadataPolicy: String, CaseIterable, Sendable {
    case full
    /// The time of modification alone.
    case mtime
    /// None but what makes an object a symbolic link, which would be a file elsewhere without it.
    case none
}

extension PosixMetadata {
    /// What of these attributes is written. The token is no attribute: by it an upload knows its own object again.
    func limited(to policy: MetadataPolicy) -> PosixMetadata {
        guard policy != .full else { return self }
        var limited = PosixMetadata()
        limited.kind = kind
        limited.device = device
        limited.uploadToken = uploadToken
        if kind != .file && kind != .directory { limited.permissions = permissions }
        if policy == .mtime { limited.modified = modified }
        return limited
    }

    /// What is written in place of what another tool wrote of the same attributes; all else that it wrote is kept.
    func replacing(_ metadata: [String: String], by policy: MetadataPolicy) -> [String: String] {
        metadata.filter { !Name.written(by: policy).contains($0.key) }.merging(limited(to: policy).encoded) { $1 }
    }
}

extension PosixMetadata.Name {
    fileprivate static func written(by policy: MetadataPolicy) -> Set<String> {
        switch policy {
        case .full: attributes
        case .mtime: [token, "mtime", "file-mtime"]
        case .none: [token]
        }
    }
}

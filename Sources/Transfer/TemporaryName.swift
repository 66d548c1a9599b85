import ObjectStore

/// Names that programs give to files that they will rename once they are whole.
enum TemporaryName {
    /// rosbag; savers that write beside and rename; download managers.
    private static let suffixes = [".active", ".tmp", ".part", ".partial"]

    /// The key that a file is likely to have in the end; `key` itself if its name says nothing of the kind.
    static func finalKey(of key: ObjectKey) -> ObjectKey {
        for suffix in suffixes where key.string.hasSuffix(suffix) {
            let rest = key.string.dropLast(suffix.count)
            if !rest.isEmpty, !rest.hasSuffix("/") { return ObjectKey(String(rest)) }
        }
        return key
    }
}

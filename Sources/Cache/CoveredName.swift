import ObjectStore

/// Names of objects whose keys are directories as well: where the bucket has both `a` and `a/x`, the directory takes
/// the name `a`, and the object is reached as `a.sluice-object`. No program makes names with that ending; an object
/// whose key ends so by itself goes first.
extension FileName {
    /// What is put behind the name of a covered object.
    public static let coveredSuffix = ".sluice-object"

    /// The name of this name's object while a directory covers it; nil if it would be too long.
    public var covered: FileName? { FileName(string + Self.coveredSuffix) }

    /// The name that a directory took; nil for a name that does not end as covered ones do.
    public var uncovered: FileName? {
        Self.withoutSuffix(string).flatMap { FileName($0) }
    }

    /// By bytes: Swift's characters may reach across the seam.
    static func withoutSuffix(_ text: String) -> String? {
        let (bytes, suffix) = (text.utf8, coveredSuffix.utf8)
        guard bytes.count > suffix.count, bytes.suffix(suffix.count).elementsEqual(suffix) else { return nil }
        return String(bytes.dropLast(suffix.count))
    }
}

extension JournalTransaction {
    /// The key of an inode that is no directory and has this path. It is covered if the last component of its object's
    /// key is its name without the ending: such a file keeps that key, also when it is written or its directory moves.
    func fileKey(at path: String, of inode: Inode) -> ObjectKey {
        guard let remote = inode.remote, let uncovered = FileName.withoutSuffix(path) else { return ObjectKey(path) }
        let isCovered = Self.lastComponent(uncovered).elementsEqual(Self.lastComponent(remote.key.string))
        return ObjectKey(isCovered ? uncovered : path)
    }

    private static func lastComponent(_ path: String) -> Substring.UTF8View {
        let bytes = path.utf8
        return bytes[(bytes.lastIndex(of: UInt8(ascii: "/")).map(bytes.index(after:)) ?? bytes.startIndex)...]
    }
}

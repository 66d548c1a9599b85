import Cache
import Platform

/// The attributes of a file as an object's user metadata tells them; nil is what it does not tell.
///
/// Written in the form of s3fs. Read in the forms of s3fs, of rclone (`mtime`), and of AWS DataSync, Storage Gateway
/// and FSx for Lustre (`file-permissions`, `file-owner`, `file-group`, `file-mtime`). A value that cannot be read is
/// as good as none: the bucket belongs to others as well.
public struct PosixMetadata: Equatable, Sendable {
    /// S3 user guide, "Working with object metadata": names and values of all user metadata together, in bytes.
    public static let maximumByteCount = 2048

    public var kind: InodeKind?
    /// `st_rdev` of a device. s3fs does not keep it.
    public var device: UInt64?
    /// The low twelve bits of `st_mode`. Set-id bits are not taken from a bucket: who may write into it is not who
    /// may become root here.
    public var permissions: UInt16?
    public var userID: UInt32?
    public var groupID: UInt32?
    public var modified: Timestamp?
    public var changed: Timestamp?
    public var accessed: Timestamp?
    public var extendedAttributes: [String: [UInt8]] = [:]
    /// Says which attempt of which Sluice made the object.
    public var uploadToken: String?

    public init() {}

    /// What an inode's row says, for its upload.
    public init(_ inode: Inode, extendedAttributes: [(name: String, value: [UInt8])]) {
        kind = inode.kind
        device = inode.kind.isDevice ? inode.device : nil
        permissions = inode.permissions
        userID = inode.userID
        groupID = inode.groupID
        modified = inode.modified
        changed = inode.changed
        self.extendedAttributes = Dictionary(extendedAttributes.map { ($0.name, $0.value) }) { $1 }
    }
}

// MARK: Writing

extension PosixMetadata {
    /// User metadata, names without `x-amz-meta-`. All of it is ASCII.
    public var encoded: [String: String] {
        var metadata: [String: String] = [:]
        if let permissions { metadata["mode"] = String((kind?.modeBits ?? 0) | UInt32(permissions)) }
        metadata["rdev"] = device.map { String($0) }
        metadata["uid"] = userID.map { String($0) }
        metadata["gid"] = groupID.map { String($0) }
        metadata["mtime"] = modified.map(Self.text(of:))
        metadata["ctime"] = changed.map(Self.text(of:))
        metadata["atime"] = accessed.map(Self.text(of:))
        if !extendedAttributes.isEmpty { metadata["xattr"] = ExtendedAttributeText.encode(extendedAttributes) }
        metadata[Name.token] = uploadToken
        return metadata
    }

    /// Whether a store takes it: an extended attribute that would make it larger must be refused when it is set.
    public var fits: Bool {
        extendedAttributes.keys.allSatisfy { ExtendedAttributeText.isName($0) }
            && encoded.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count } <= Self.maximumByteCount
    }

    enum Name {
        static let token = "sluice-upload"
        static let attributes: Set<String> = [
            "mode", "rdev", "uid", "gid", "mtime", "ctime", "atime", "xattr", token, "file-permissions", "file-owner",
            "file-group", "file-mtime", "file-atime",
        ]
    }

    /// Seconds, with nine digits behind the point unless all are zero: s3fs reads them as a count of nanoseconds,
    /// rclone as a fraction.
    private static func text(of time: Timestamp) -> String {
        guard time.nanoseconds >= 0, time.subsecondNanoseconds != 0 else { return String(time.seconds) }
        let fraction = String(time.subsecondNanoseconds)
        return "\(time.seconds)." + String(repeating: "0", count: 9 - fraction.count) + fraction
    }
}

// MARK: Reading

extension PosixMetadata {
    /// `metadata` as in `ObjectInfo.metadata`.
    public init(decoding metadata: [String: String]) {
        if let mode = metadata["mode"].flatMap({ UInt32($0) }) {
            take(mode: mode)
        } else if let mode = metadata["file-permissions"].flatMap({ UInt32($0, radix: 8) }) {
            take(mode: mode)
        }
        device = metadata["rdev"].flatMap { UInt64($0) }
        userID = (metadata["uid"] ?? metadata["file-owner"]).flatMap { UInt32($0) }
        groupID = (metadata["gid"] ?? metadata["file-group"]).flatMap { UInt32($0) }
        modified = metadata["mtime"].flatMap(Self.time(_:)) ?? metadata["file-mtime"].flatMap(Self.awsTime(_:))
        changed = metadata["ctime"].flatMap(Self.time(_:))
        accessed = metadata["atime"].flatMap(Self.time(_:)) ?? metadata["file-atime"].flatMap(Self.awsTime(_:))
        extendedAttributes = metadata["xattr"].map(ExtendedAttributeText.decode(_:)) ?? [:]
        uploadToken = metadata[Name.token]
    }

    private mutating func take(mode: UInt32) {
        permissions = UInt16(mode & 0o1777)
        kind = InodeKind(mode: mode)
    }

    /// Decimal seconds with or without a fraction, or RFC 3339.
    private static func time(_ text: String) -> Timestamp? {
        let pieces = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = pieces.first, let seconds = Int64(whole) else {
            return CalendarTime(iso8601: text.utf8)?.timestamp
        }
        guard pieces.count == 2 else { return Timestamp(seconds: seconds) }
        let digits = pieces[1].utf8.prefix(9)
        guard pieces[1].utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        let padded = digits + Array(repeating: 48, count: 9 - digits.count)
        let nanoseconds = padded.reduce(0) { $0 * 10 + Int64($1 - 48) }
        return Timestamp(seconds: seconds, nanoseconds: whole.hasPrefix("-") ? -nanoseconds : nanoseconds)
    }

    /// Nanoseconds since 1970 with `ns` behind them, else milliseconds (FSx for Lustre user guide, "POSIX metadata
    /// support for data repositories").
    private static func awsTime(_ text: String) -> Timestamp? {
        if text.hasSuffix("ns") { return Int64(text.dropLast(2)).map(Timestamp.init(nanoseconds:)) }
        guard let milliseconds = Int64(text.hasSuffix("ms") ? text.dropLast(2) : text[...]) else { return nil }
        return Timestamp(seconds: milliseconds / 1000, nanoseconds: milliseconds % 1000 * 1_000_000)
    }
}

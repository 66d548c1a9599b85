/// What a ``DirectoryStore`` keeps about an object beside its bytes: the text of an extended attribute or of a sidecar
/// file. Pure.
///
///     sluice-object 1
///     etag 5d41402abc4b2a76b9719d911017c592
///     size 5
///     modified 1750000000123456789
///     meta mode=33188
///
/// `%`, control characters, and `=` in names, are escaped as `%` and two hexadecimal digits.
struct ObjectRecord: Equatable {
    /// The name of the attribute.
    static let attribute = "user.sluice.object"
    private static let header = "sluice-object 1"

    var etag: ETag
    var size: Int64
    /// Nanoseconds since 1970: the file's mtime when the store finished it. A file with another size or mtime was
    /// changed by another program, and its record no longer counts.
    var modified: Int64
    var metadata: [String: String]

    func describes(_ status: FileStatus) -> Bool {
        size == status.size && modified == status.modified
    }

    var encoded: [UInt8] {
        var lines = [Self.header, "etag \(RecordText.escape(etag.value))", "size \(size)", "modified \(modified)"]
        for (name, value) in metadata.sorted(by: { $0.key < $1.key }) {
            lines.append("meta \(RecordText.escape(name, and: "="))=\(RecordText.escape(value))")
        }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    /// Nil if it is not such a record.
    init?(encoded: [UInt8]) {
        guard let text = String(validating: encoded, as: UTF8.self) else { return nil }
        let lines = text.split(separator: "\n")
        guard lines.first.map(String.init) == Self.header else { return nil }
        var etag: ETag?
        var size: Int64?
        var modified: Int64?
        var metadata: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let (word, rest) = RecordText.pair(line, " ") else { return nil }
            switch word {
            case "etag": etag = RecordText.unescape(rest).map(ETag.init)
            case "size": size = Int64(rest)
            case "modified": modified = Int64(rest)
            case "meta":
                guard let (name, value) = RecordText.pair(rest, "="), let name = RecordText.unescape(name),
                    let value = RecordText.unescape(value)
                else { return nil }
                metadata[name] = value
            default: return nil
            }
        }
        guard let etag, let size, let modified else { return nil }
        self.init(etag: etag, size: size, modified: modified, metadata: metadata)
    }

    init(etag: ETag, size: Int64, modified: Int64, metadata: [String: String]) {
        self.etag = etag
        self.size = size
        self.modified = modified
        self.metadata = metadata
    }
}

import ObjectStore

/// What the headers of an answer to GetObject say the whole object must come to. Pure.
///
/// The store's own checksum of the full object where the answer has one; else the ETag where it has the form of an MD5,
/// and is one: see ``ObjectHeaders/hasMD5ETag(_:)``. A composite checksum, which is made of those of parts, cannot be
/// compared with bytes ("Checking object integrity", S3 user guide).
struct PromisedChecksum: Equatable, Sendable {
    var algorithm: Checksum.Algorithm
    /// As the answer wrote it.
    var text: String

    /// The strongest against accidents first that costs little.
    private static let algorithms: [Checksum.Algorithm] = [.crc64nvme, .crc32c, .crc32, .sha256, .sha1]

    /// Nil if the answer has nothing that bytes can be compared with.
    init?(_ headers: HTTPHeaders, etag: ETag) {
        if headers["x-amz-checksum-type"]?.uppercased() != "COMPOSITE" {
            for algorithm in Self.algorithms {
                guard let text = headers[algorithm.header], Self.isChecksum(text, algorithm) else { continue }
                self.algorithm = algorithm
                self.text = text
                return
            }
        }
        guard ObjectHeaders.hasMD5ETag(headers), let md5 = etag.md5Hex else { return nil }
        algorithm = .md5
        text = md5
    }

    /// Whether a checksum is the one that was promised.
    func isKept(by checksum: [UInt8]) -> Bool {
        text == (algorithm == .md5 ? Checksum.hex(checksum) : Checksum.base64(checksum))
    }

    /// Whether the text has the form of such a checksum in base 64. A composite one without a type ends in `-COUNT`.
    private static func isChecksum(_ text: String, _ algorithm: Checksum.Algorithm) -> Bool {
        let length = (algorithm.byteCount + 2) / 3 * 4
        let padding = (3 - algorithm.byteCount % 3) % 3
        return text.utf8.count == length && text.utf8.reversed().prefix { $0 == UInt8(ascii: "=") }.count == padding
    }
}

import CCrypto

/// A checksum that is fed piece by piece: digests for ETags, Content-MD5 and signatures, and those that stores give
/// with an object (S3 user guide, "Checking object integrity").
///
/// Not for use from two threads at once.
public final class Checksum {
    /// Raw values are as headers write them; a journal holds them.
    public enum Algorithm: String, Sendable, CaseIterable {
        case md5
        case sha1
        case sha256
        case crc32
        case crc32c
        case crc64nvme

        /// Bytes of a checksum.
        public var byteCount: Int {
            switch self {
            case .md5: 16
            case .sha1: 20
            case .sha256: 32
            case .crc32, .crc32c: 4
            case .crc64nvme: 8
            }
        }
    }

    private let engine: any ChecksumEngine

    public init(_ algorithm: Algorithm) {
        engine =
            switch algorithm {
            case .md5: MessageDigest(EVP_md5(), byteCount: algorithm.byteCount)
            case .sha1: MessageDigest(EVP_sha1(), byteCount: algorithm.byteCount)
            case .sha256: MessageDigest(EVP_sha256(), byteCount: algorithm.byteCount)
            case .crc32: CyclicRedundancyCheck(.crc32)
            case .crc32c: CyclicRedundancyCheck(.crc32c)
            case .crc64nvme: CyclicRedundancyCheck(.crc64nvme)
            }
    }

    public func update(_ bytes: UnsafeRawBufferPointer) { engine.update(bytes) }

    /// The checksum of everything since the start or the last `finish`, a CRC with its highest byte first; the next
    /// `update` starts a new one.
    public func finish() -> [UInt8] { engine.finish() }
}

/// What computes a checksum.
protocol ChecksumEngine: AnyObject {
    func update(_ bytes: UnsafeRawBufferPointer)
    func finish() -> [UInt8]
}

extension Checksum {
    /// The checksum of bytes that are all in memory.
    public static func digest(_ algorithm: Algorithm, of bytes: some Sequence<UInt8>) -> [UInt8] {
        let checksum = Checksum(algorithm)
        Array(bytes).withUnsafeBytes { checksum.update($0) }
        return checksum.finish()
    }

    /// HMAC-SHA256 (RFC 2104).
    public static func hmacSHA256(key: [UInt8], _ message: some Sequence<UInt8>) -> [UInt8] {
        let message = Array(message)
        var code = [UInt8](repeating: 0, count: Algorithm.sha256.byteCount)
        let result = sluice_hmac_sha256(key, key.count, message, message.count, &code)
        precondition(result == 1, "HMAC fails only when libcrypto is out of memory")
        return code
    }

    /// As Content-MD5 and `x-amz-checksum-…` write a checksum (RFC 4648, section 4).
    public static func base64(_ bytes: [UInt8]) -> String {
        // EVP_EncodeBlock ends with a NUL.
        var text = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        let count = EVP_EncodeBlock(&text, bytes, Int32(bytes.count))
        return String(decoding: text.prefix(Int(count)), as: UTF8.self)
    }

    /// Lower-case hexadecimal.
    public static func hex(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.underestimatedCount * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

import CCrypto

/// A message digest that is fed piece by piece: MD5 for ETags and Content-MD5, SHA-256 for signatures.
///
/// Not for use from two threads at once.
public final class Checksum {
    public enum Algorithm: Sendable {
        case md5
        case sha256

        fileprivate var implementation: OpaquePointer? {
            switch self {
            case .md5: EVP_md5()
            case .sha256: EVP_sha256()
            }
        }

        /// Bytes of a digest.
        public var byteCount: Int {
            switch self {
            case .md5: 16
            case .sha256: 32
            }
        }
    }

    private let algorithm: Algorithm
    private let context: OpaquePointer

    public init(_ algorithm: Algorithm) {
        guard let context = EVP_MD_CTX_new() else { preconditionFailure("libcrypto is out of memory") }
        self.algorithm = algorithm
        self.context = context
        restart()
    }

    deinit { EVP_MD_CTX_free(context) }

    public func update(_ bytes: UnsafeRawBufferPointer) {
        let result = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
        precondition(result == 1, "EVP_DigestUpdate fails only on a context that was never started")
    }

    /// The digest of everything since the start or the last `finish`; the next `update` starts a new one.
    public func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: algorithm.byteCount)
        let result = EVP_DigestFinal_ex(context, &digest, nil)
        precondition(result == 1, "EVP_DigestFinal_ex fails only on a context that was never started")
        restart()
        return digest
    }

    private func restart() {
        let result = EVP_DigestInit_ex(context, algorithm.implementation, nil)
        precondition(result == 1, "libcrypto on this machine has no \(algorithm) (a FIPS-only OpenSSL forbids MD5)")
    }
}

extension Checksum {
    /// The digest of bytes that are all in memory.
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

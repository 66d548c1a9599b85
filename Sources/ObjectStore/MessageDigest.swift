import CCrypto

/// A message digest of libcrypto.
final class MessageDigest: ChecksumEngine {
    private let implementation: OpaquePointer?
    private let byteCount: Int
    private let context: OpaquePointer

    init(_ implementation: OpaquePointer?, byteCount: Int) {
        guard let context = EVP_MD_CTX_new() else { preconditionFailure("libcrypto is out of memory") }
        self.implementation = implementation
        self.byteCount = byteCount
        self.context = context
        restart()
    }

    deinit { EVP_MD_CTX_free(context) }

    func update(_ bytes: UnsafeRawBufferPointer) {
        let result = EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
        precondition(result == 1, "EVP_DigestUpdate fails only on a context that was never started")
    }

    func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: byteCount)
        let result = EVP_DigestFinal_ex(context, &digest, nil)
        precondition(result == 1, "EVP_DigestFinal_ex fails only on a context that was never started")
        restart()
        return digest
    }

    private func restart() {
        let result = EVP_DigestInit_ex(context, implementation, nil)
        precondition(result == 1, "libcrypto on this machine lacks a digest (a FIPS-only OpenSSL forbids MD5)")
    }
}

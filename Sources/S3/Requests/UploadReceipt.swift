import ObjectStore

/// What a store answers to a body that was sent with a checksum. Pure.
struct UploadReceipt: Equatable, Sendable {
    var etag: ETag
    /// Of the bytes, as the ETag says it, in hexadecimal. Nil if that is none, or the body went with another checksum.
    var md5: String?
    /// In base 64, as the store repeats it. Nil if the body went with an MD5.
    var checksum: String?

    /// - Parameter checksum: by which the body was sent, unless by its MD5.
    /// - Throws: `.badAnswer`; `.unsupported` if nothing tells that the checksum was compared.
    init(_ headers: HTTPHeaders, checksum algorithm: Checksum.Algorithm?) throws(StoreError) {
        etag = try ObjectHeaders.etag(headers)
        guard let algorithm else {
            md5 = ObjectHeaders.hasMD5ETag(headers) ? etag.md5Hex : nil
            return
        }
        guard let checksum = headers[algorithm.header] else {
            throw StoreError(.unsupported, message: "the answer does not repeat \(algorithm.header)")
        }
        self.checksum = checksum
    }

    /// Throws `.corrupted` if the store has other bytes than those of the digest.
    func check(_ sent: BodyDigest) throws(StoreError) {
        let (stored, expected) =
            sent.algorithm == .md5 ? (md5, Checksum.hex(sent.value)) : (checksum, Checksum.base64(sent.value))
        guard let stored, stored != expected else { return }
        throw StoreError(
            .corrupted, message: "the store holds other bytes than were sent (\(sent.algorithm.name) \(stored))")
    }
}

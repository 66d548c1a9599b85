import ObjectStore
import Testing

struct ChecksumTests {
    /// The check values of the catalogue of CRCs (reveng.sourceforge.io), of FIPS 180-4 and RFC 1321 by sha1sum and others.
    @Test(arguments: [
        (Checksum.Algorithm.crc32, "cbf43926"), (.crc32c, "e3069283"), (.crc64nvme, "ae8b14860a799888"),
        (.md5, "25f9e794323b453885f5181f1b624d0b"), (.sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        (.sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ])
    func knownTextsHaveTheirChecksums(_ algorithm: Checksum.Algorithm, _ expected: String) {
        #expect(Checksum.hex(Checksum.digest(algorithm, of: "123456789".utf8)) == expected)
    }

    @Test(arguments: Checksum.Algorithm.allCases)
    func piecesAreWorthTheWhole(_ algorithm: Checksum.Algorithm) {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 31 ^ $0 >> 3) }
        let checksum = Checksum(algorithm)
        for start in stride(from: 0, to: bytes.count, by: 37) {
            Array(bytes[start..<min(start + 37, bytes.count)]).withUnsafeBytes { checksum.update($0) }
        }
        let whole = Checksum.digest(algorithm, of: bytes)
        #expect(checksum.finish() == whole)
        #expect(whole.count == algorithm.byteCount)
        // `finish` started anew.
        #expect(checksum.finish() == Checksum.digest(algorithm, of: []))
    }

    /// Short pieces go by tables, long ones by carry-less multiplication where the processor has it: in steps of 64 and
    /// of 16 bytes and what is left.
    @Test(arguments: [Checksum.Algorithm.crc32, .crc32c, .crc64nvme])
    func aCRCOfEachLengthIsThatOfItsBytes(_ algorithm: Checksum.Algorithm) {
        let bytes = (0..<400).map { UInt8(truncatingIfNeeded: $0 * 31 ^ $0 >> 3) }
        for start in 0..<4 {
            let byByte = Checksum(algorithm)
            for end in start...bytes.count {
                let whole = Checksum(algorithm)
                bytes[start..<end].withUnsafeBytes { whole.update($0) }
                for byte in bytes[start..<end] { withUnsafeBytes(of: byte) { byByte.update($0) } }
                #expect(whole.finish() == byByte.finish(), "bytes \(start)..<\(end)")
            }
        }
    }
}

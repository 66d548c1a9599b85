import CCRC

/// A cyclic redundancy check: reflected, started with ones and inverted at the end, as all that S3 knows are.
final class CyclicRedundancyCheck: ChecksumEngine {
    /// One polynomial and what is computed of it beforehand.
    final class Code: Sendable {
        static let crc32 = Code(bits: 32, polynomial: 0xEDB8_8320)
        /// Castagnoli's (RFC 3720).
        static let crc32c = Code(bits: 32, polynomial: 0x82F6_3B78)
        /// Of the NVM Command Set, revision 1.0.
        static let crc64nvme = Code(bits: 64, polynomial: 0x9A6C_9329_AC4B_C9B5)

        let bits: Int
        // SAFETY: filled before anybody else can have it, then only read, never freed: there are three.
        nonisolated(unsafe) private let code: UnsafePointer<sluice_crc_code>

        /// `polynomial` is the reflected one.
        private init(bits: Int, polynomial: UInt64) {
            self.bits = bits
            let code = UnsafeMutablePointer<sluice_crc_code>.allocate(capacity: 1)
            code.initialize(to: sluice_crc_code())
            sluice_crc_prepare(code, Int32(bits), polynomial)
            self.code = UnsafePointer(code)
        }

        var ones: UInt64 { bits == 64 ? .max : 1 << UInt64(bits) - 1 }

        func update(_ register: UInt64, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
            sluice_crc_update(code, register, bytes.baseAddress, bytes.count)
        }
    }

    private let code: Code
    private var register: UInt64

    init(_ code: Code) {
        self.code = code
        register = code.ones
    }

    func update(_ bytes: UnsafeRawBufferPointer) { register = code.update(register, bytes) }

    func finish() -> [UInt8] {
        let value = register ^ code.ones
        register = code.ones
        return stride(from: code.bits - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> UInt64($0)) }
    }
}

import CLinux
import SystemPackage

/// Tells one boot of the machine from another: what was written but not synced is still there if the boot is the
/// same, and may be gone if it is not.
public struct BootIdentity: Hashable, Sendable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The running kernel's (random(4), `/proc/sys/kernel/random/boot_id`).
    public static func current() throws(Errno) -> BootIdentity {
        let descriptor = try systemCall { sluice_openat(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0) }
        let text = try PosixDiskFile(owning: descriptor).contents(limit: 64)
        let digits = String(decoding: text, as: UTF8.self).filter(\.isHexDigit)
        guard digits.count == 32, let high = UInt64(digits.prefix(16), radix: 16),
            let low = UInt64(digits.suffix(16), radix: 16)
        else { throw .invalidArgument }
        return BootIdentity(high: high, low: low)
    }
}

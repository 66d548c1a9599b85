import Glibc
import Synchronization

/// Tells the input under way when it kills the process, which no test lives to report.
enum LastInput {
    /// SAFETY: written by the one test that runs at a time (the suite is serialized), read by the handler of the signal
    /// that ends the process.
    nonisolated(unsafe) private static let text = UnsafeMutablePointer<UInt8>.allocate(capacity: limit)
    /// SAFETY: as `text`.
    nonisolated(unsafe) private static var count = 0
    /// Room for the longest input in hexadecimal and a line before it.
    private static let limit = 256 << 10
    private static let digits = Array("0123456789abcdef".utf8)
    private static let isInstalled: Bool = install()

    static func note(_ input: [UInt8], of name: String, seed: UInt64, index: Int) {
        _ = isInstalled
        let head = Array(
            "\nthe process died of input \(index) of SLUICE_FUZZ_SEED=\(seed), target \(name); hex:\n".utf8)
        var end = 0
        for byte in head {
            text[end] = byte
            end += 1
        }
        for byte in input where end + 3 < limit {
            text[end] = digits[Int(byte >> 4)]
            text[end + 1] = digits[Int(byte & 15)]
            end += 2
        }
        text[end] = 10
        count = end + 1
    }

    private static func install() -> Bool {
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT] {
            signal(number) { number in
                write(STDERR_FILENO, LastInput.text, LastInput.count)
                signal(number, SIG_DFL)
                raise(number)
            }
        }
        return true
    }
}

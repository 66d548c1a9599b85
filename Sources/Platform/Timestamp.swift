import CLinux

/// A moment of the wall clock: nanoseconds since 1970-01-01T00:00:00Z. Good for the years 1678 to 2262.
///
/// Only for what people and programs see (mtime, log lines). What waits uses ``TimeSource/monotonic``: the wall
/// clock of a robot jumps.
public struct Timestamp: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// Saturates at the ends of the range.
    public init(seconds: Int64, nanoseconds: Int64 = 0) {
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow2) = whole.addingReportingOverflow(nanoseconds)
        self.nanoseconds = overflow || overflow2 ? (seconds < 0 ? .min : .max) : sum
    }

    /// Whole seconds, rounded down also before 1970.
    public var seconds: Int64 { split.seconds }

    /// 0 to 999,999,999.
    public var subsecondNanoseconds: Int64 { split.rest }

    private var split: (seconds: Int64, rest: Int64) {
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return rest < 0 ? (seconds - 1, rest + 1_000_000_000) : (seconds, rest)
    }

    /// Saturates at the ends of the range.
    public static func + (moment: Timestamp, duration: Duration) -> Timestamp {
        let change = duration.nanoseconds
        let (sum, overflow) = moment.nanoseconds.addingReportingOverflow(change)
        return Timestamp(nanoseconds: overflow ? (change < 0 ? .min : .max) : sum)
    }

    public static func - (later: Timestamp, earlier: Timestamp) -> Duration {
        .nanoseconds(later.nanoseconds) - .nanoseconds(earlier.nanoseconds)
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }
}

extension Duration {
    /// Whole ones, rounded towards zero; saturates at the ends of the range.
    public var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return Timestamp(seconds: seconds, nanoseconds: attoseconds / 1_000_000_000).nanoseconds
    }
}

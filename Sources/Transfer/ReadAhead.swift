/// How far ahead of a reader bytes are fetched: one for each open handle.
///
/// A reader that goes on where it was gets a window that grows up to ``Limits/maximumWindow``; one that jumps gets the
/// blocks around what it asked for and starts again. The window moves in large steps, when half of it is read: many
/// small requests would cost more than they carry.
public struct ReadAhead: Equatable, Sendable {
    public struct Limits: Equatable, Sendable {
        /// Window of a reader that starts at the beginning of a file, bytes: most small files come in one request.
        public var firstWindow: Int64 = 1 << 20
        /// Enough for the bandwidth-delay product of a 10 Gb/s link at 50 ms.
        public var maximumWindow: Int64 = 64 << 20
        /// By what a window grows once half of it is read.
        public var growth: Int64 = 4
        /// The window's end is a multiple of this, the size of a request.
        public var step: Int64 = 8 << 20
        /// Reads of a random reader are widened to blocks of this size.
        public var blockSize: Int64 = 128 << 10
        /// A read this far from where the last one ended still counts as going on: the kernel's own read-ahead
        /// reorders requests.
        public var slack: Int64 = 2 << 20

        public init() {}
    }

    private let limits: Limits
    private var window: Int64 = 0
    /// Behind the last byte that was wanted.
    private var ahead: Int64 = 0
    /// Where a sequential reader would go on.
    private var next: Int64 = 0

    public init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// The bytes to have on the way when `range` is read; contains it.
    public mutating func observe(_ range: Range<Int64>) -> Range<Int64> {
        let isSequential = abs(range.lowerBound - next) <= limits.slack
        guard isSequential else {
            window = 0
            next = range.upperBound
            ahead = range.upperBound
            return blocks(around: range)
        }
        next = max(next, range.upperBound)
        if ahead < next + window / 2 || window == 0 {
            window = window == 0 ? limits.firstWindow : min(limits.maximumWindow, window * limits.growth)
            ahead = max(ahead, roundedUp(next + window, to: min(window, limits.step)))
        }
        return range.lowerBound..<max(range.upperBound, ahead)
    }

    private func roundedUp(_ position: Int64, to step: Int64) -> Int64 {
        (position + step - 1) / step * step
    }

    private func blocks(around range: Range<Int64>) -> Range<Int64> {
        let size = limits.blockSize
        return range.lowerBound / size * size..<(range.upperBound + size - 1) / size * size
    }
}

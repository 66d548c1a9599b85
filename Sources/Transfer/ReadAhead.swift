/// How far ahead of a reader bytes are fetched: one for each open handle.
///
/// A reader that goes on where it was gets a window that grows as long as that fills the link better; one that jumps gets
/// what it asked for and a few bytes behind. The window moves in large steps, when half of it is read: many small
/// requests would cost more than they carry. Several threads that read one handle in different places each have a
/// window of their own.
public struct ReadAhead: Equatable, Sendable {
    public struct Limits: Equatable, Sendable {
        /// Window of a reader that starts at the beginning of a file, bytes: most small files come in one request.
        public var firstWindow: Int64 = 1 << 20
        /// Enough for the bandwidth-delay product of a 10 Gb/s link at 50 ms.
        public var maximumWindow: Int64 = 64 << 20
        /// So much is ahead of a reader however slow the link seems: it was not measured yet.
        public var leastMaximum: Int64 = 8 << 20
        /// Of a link that is measured, what it brings in so many seconds is enough: the measure lags behind.
        public var seconds: Double = 4
        /// By what a window grows once half of it is read.
        public var growth: Int64 = 4
        /// The window's end is a multiple of this, the size of a request.
        public var step: Int64 = 8 << 20
        /// What a reader that jumps gets, from the page in which it asked for bytes. It is halved with every jump in a
        /// row, down to the least.
        public var neighbourhood: Int64 = 128 << 10
        public var leastNeighbourhood: Int64 = 16 << 10
        /// A read that is no further from where the last one ended than so many of its length still counts as going on:
        /// the kernel's own read-ahead reorders requests.
        public var slack: Int64 = 4
        public var leastSlack: Int64 = 64 << 10
        /// Places of one handle that are read from in turn.
        public var streams = 8

        public init() {}
    }

    /// A place where a reader goes on.
    private struct Stream: Equatable {
        /// Of a reader that jumped here, zero until it goes on.
        var window: Int64 = 0
        /// Behind the last byte that was wanted.
        var ahead: Int64 = 0
        /// Where a sequential reader would go on.
        var next: Int64 = 0
    }

    private static let pageSize: Int64 = 4096

    private let limits: Limits
    /// The last that was read from stands last.
    private var streams = [Stream()]
    /// In a row.
    private var jumps = 0

    public init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Whether the last read was where no reader went on: what was wanted before may not be wanted any more.
    public var hasJumped: Bool { jumps > 0 }

    /// The bytes to have on the way when `range` is read; contains it. `bytesPerSecond`: what the link brings, as far as
    /// it was measured.
    public mutating func observe(_ range: Range<Int64>, bytesPerSecond: Double = 0) -> Range<Int64> {
        let slack = max(limits.leastSlack, (range.upperBound - range.lowerBound) * limits.slack)
        guard let index = streams.lastIndex(where: { abs(range.lowerBound - $0.next) <= slack }) else {
            return jump(to: range)
        }
        jumps = 0
        var stream = streams.remove(at: index)
        stream.next = max(stream.next, range.upperBound)
        if stream.ahead < stream.next + stream.window / 2 || stream.window == 0 {
            stream.window = nextWindow(of: stream, bytesPerSecond)
            stream.ahead = max(
                stream.ahead, roundedUp(stream.next + stream.window, to: min(stream.window, limits.step)))
        }
        streams.append(stream)
        return range.lowerBound..<max(range.upperBound, stream.ahead)
    }

    private mutating func jump(to range: Range<Int64>) -> Range<Int64> {
        let size = max(limits.leastNeighbourhood, limits.neighbourhood >> min(jumps, 16))
        jumps += 1
        // What is asked for comes first.
        let start = range.lowerBound / Self.pageSize * Self.pageSize
        let end = max(range.upperBound, start + size)
        if streams.count >= limits.streams { streams.removeFirst() }
        streams.append(Stream(ahead: end, next: range.upperBound))
        return start..<end
    }

    private func nextWindow(of stream: Stream, _ bytesPerSecond: Double) -> Int64 {
        guard stream.window > 0 else { return stream.ahead == 0 ? limits.firstWindow : limits.neighbourhood }
        return min(maximumWindow(at: bytesPerSecond), stream.window * limits.growth)
    }

    private func maximumWindow(at bytesPerSecond: Double) -> Int64 {
        min(limits.maximumWindow, max(limits.leastMaximum, Int64(bytesPerSecond * limits.seconds)))
    }

    private func roundedUp(_ position: Int64, to step: Int64) -> Int64 {
        (position + step - 1) / step * step
    }
}

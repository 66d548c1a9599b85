/// Bytes per second over a sliding window of monotonic time.
public struct RateMeter: Equatable, Sendable {
    private struct Slot: Equatable {
        var index: Int64
        var bytes: Int64
    }

    private static let slotCount: Int64 = 10
    private let slotLength: Duration
    /// Ascending, at most ``slotCount``.
    private var slots: [Slot] = []

    public init(window: Duration = .seconds(10)) {
        slotLength = window / Int(Self.slotCount)
    }

    public mutating func add(_ bytes: Int64, at now: Duration) {
        let index = index(of: now)
        slots.removeAll { $0.index <= index - Self.slotCount }
        if let last = slots.indices.last, slots[last].index >= index {
            slots[last].bytes += bytes
        } else {
            slots.append(Slot(index: index, bytes: bytes))
        }
    }

    public func bytesPerSecond(at now: Duration) -> Double {
        let index = index(of: now)
        let bytes = slots.reduce(Int64(0)) { $0 + ($1.index > index - Self.slotCount ? $1.bytes : 0) }
        return Double(bytes) / ((slotLength * Int(Self.slotCount)) / .seconds(1))
    }

    private func index(of now: Duration) -> Int64 { Int64(now / slotLength) }
}

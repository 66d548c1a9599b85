/// A set of Int64 positions, kept as sorted, disjoint, non-adjacent half-open ranges.
///
/// Finding takes logarithmic time in the number of ranges; insertion and removal also move the ranges behind the
/// place that changed.
public struct RangeSet: Hashable, Sendable {
    /// Ascending; never empty ranges, never two that touch.
    public private(set) var ranges: [Range<Int64>] = []

    public init() {}

    public init(_ range: Range<Int64>) {
        insert(range)
    }

    /// The ranges may overlap and come in any order.
    public init(_ ranges: some Sequence<Range<Int64>>) {
        for range in ranges { insert(range) }
    }

    public var isEmpty: Bool { ranges.isEmpty }

    /// Positions in all.
    public var count: Int64 { ranges.reduce(0) { $0 + $1.length } }

    /// From the first position to behind the last; nil if empty.
    public var bounds: Range<Int64>? {
        guard let first = ranges.first, let last = ranges.last else { return nil }
        return first.lowerBound..<last.upperBound
    }

    public mutating func insert(_ range: Range<Int64>) {
        guard !range.isEmpty else { return }
        if appendIfBehind(range) { return }
        let touched = touching(range)
        guard let first = touched.first, let last = touched.last else {
            ranges.insert(range, at: touched.startIndex)
            return
        }
        let merged = min(first.lowerBound, range.lowerBound)..<max(last.upperBound, range.upperBound)
        ranges.replaceSubrange(touched.indices, with: CollectionOfOne(merged))
    }

    public mutating func formUnion(_ other: RangeSet) {
        for range in other.ranges { insert(range) }
    }

    public mutating func remove(_ range: Range<Int64>) {
        let hit = overlapping(range)
        guard let first = hit.first, let last = hit.last else { return }
        var kept: [Range<Int64>] = []
        if first.lowerBound < range.lowerBound { kept.append(first.lowerBound..<range.lowerBound) }
        if range.upperBound < last.upperBound { kept.append(range.upperBound..<last.upperBound) }
        ranges.replaceSubrange(hit.indices, with: kept)
    }

    public mutating func subtract(_ other: RangeSet) {
        for range in other.ranges { remove(range) }
    }

    public mutating func removeAll() {
        ranges.removeAll()
    }

    public func contains(_ position: Int64) -> Bool {
        guard position < .max else { return false }
        return contains(position..<position + 1)
    }

    /// Whether every position of `range` is in the set; true for an empty range.
    public func contains(_ range: Range<Int64>) -> Bool {
        guard !range.isEmpty else { return true }
        let index = firstIndex { $0.upperBound > range.lowerBound }
        return index < ranges.endIndex && ranges[index].lowerBound <= range.lowerBound
            && ranges[index].upperBound >= range.upperBound
    }

    public func intersects(_ range: Range<Int64>) -> Bool {
        !overlapping(range).isEmpty
    }

    /// What the set and `range` have in common, ascending.
    public func intersection(_ range: Range<Int64>) -> [Range<Int64>] {
        overlapping(range).map { $0.clamped(to: range) }
    }

    public func intersection(_ other: RangeSet) -> RangeSet {
        var common = RangeSet()
        for range in other.ranges { common.ranges.append(contentsOf: intersection(range)) }
        return common
    }

    /// What of `range` is not in the set, ascending.
    public func gaps(in range: Range<Int64>) -> [Range<Int64>] {
        var gaps: [Range<Int64>] = []
        var position = range.lowerBound
        for present in overlapping(range) {
            if position < present.lowerBound { gaps.append(position..<present.lowerBound) }
            position = present.upperBound
        }
        if position < range.upperBound { gaps.append(position..<range.upperBound) }
        return gaps
    }

    /// The common case of a file that grows: no search.
    private mutating func appendIfBehind(_ range: Range<Int64>) -> Bool {
        guard let last = ranges.last, range.lowerBound >= last.lowerBound else { return false }
        if range.lowerBound > last.upperBound {
            ranges.append(range)
        } else {
            ranges[ranges.endIndex - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
        }
        return true
    }

    private func overlapping(_ range: Range<Int64>) -> ArraySlice<Range<Int64>> {
        guard !range.isEmpty else { return [] }
        let start = firstIndex { $0.upperBound > range.lowerBound }
        let end = firstIndex { $0.lowerBound >= range.upperBound }
        return ranges[start..<end]
    }

    /// Also those that end where `range` starts or start where it ends.
    private func touching(_ range: Range<Int64>) -> ArraySlice<Range<Int64>> {
        let start = firstIndex { $0.upperBound >= range.lowerBound }
        let end = firstIndex { $0.lowerBound > range.upperBound }
        return ranges[start..<end]
    }

    /// The first index whose range satisfies a condition that once true stays true.
    private func firstIndex(where condition: (Range<Int64>) -> Bool) -> Int {
        var low = ranges.startIndex
        var high = ranges.endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if condition(ranges[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

extension RangeSet: CustomStringConvertible {
    public var description: String {
        "{" + ranges.map { "\($0.lowerBound)..<\($0.upperBound)" }.joined(separator: ", ") + "}"
    }
}

extension Range where Bound == Int64 {
    /// Positions in the range.
    public var length: Int64 { upperBound - lowerBound }
}

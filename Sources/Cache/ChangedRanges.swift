import Platform

/// Which bytes of a changed file may differ from the object that it stands on, as far as this process saw it change: the
/// rest is known to be the object's without being there. Pure.
struct ChangedRanges: Sendable {
    /// Beyond so many ranges, any byte may have changed.
    private static let limit = 1024

    /// Nil: any byte may have changed.
    private var ranges: RangeSet?

    private init(_ ranges: RangeSet?) {
        self.ranges = ranges
    }

    static let none = ChangedRanges(RangeSet())
    static let unknown = ChangedRanges(nil)

    mutating func add(_ range: Range<Int64>) {
        ranges?.insert(range)
        if let count = ranges?.ranges.count, count > Self.limit { ranges = nil }
    }

    func mayHaveChanged(_ range: Range<Int64>) -> Bool { ranges?.intersects(range) ?? true }
}

extension CachedFile {
    /// Whether the bytes of `range`, local or not, are known to be those of the object that the file stands on.
    public func isUntouched(_ range: Range<Int64>) -> Bool {
        state.withLock { state in
            observe(&state)
            guard let base = state.base, range.upperBound <= base.size else { return false }
            return !state.changed.mayHaveChanged(range)
        }
    }

    /// What is kept of a changed file that is closed, for ``resume(_:)``.
    var changedRanges: ChangedRanges? { state.withLock { $0.isDirty ? $0.changed : nil } }

    /// Nobody changed the file since ``changedRanges`` were taken.
    func resume(_ changed: ChangedRanges) { state.withLock { $0.changed = changed } }
}

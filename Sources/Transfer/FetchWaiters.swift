/// Readers of one file who wait for bytes of it.
struct FetchWaiters {
    private var waiting: [(range: Range<Int64>, completion: Fetcher.Completion)] = []

    var isEmpty: Bool { waiting.isEmpty }

    mutating func add(_ range: Range<Int64>, _ completion: @escaping Fetcher.Completion) {
        waiting.append((range, completion))
    }

    /// Whether one of them waits for bytes of `range`, and for none behind it.
    func areDue(by range: Range<Int64>) -> Bool {
        waiting.contains { $0.range.upperBound > range.lowerBound && $0.range.upperBound <= range.upperBound }
    }

    /// Whether one of them waits for bytes of `range`.
    func overlap(_ range: Range<Int64>) -> Bool { waiting.contains { $0.range.overlaps(range) } }

    /// Takes out those whose range fulfils `condition`; the caller must call what it gets. Each is asked for once, as
    /// the answer may change at any moment: bytes also become local by writing.
    mutating func take(where condition: (Range<Int64>) -> Bool) -> [Fetcher.Completion] {
        var taken: [Fetcher.Completion] = []
        waiting.removeAll { waiter in
            guard condition(waiter.range) else { return false }
            taken.append(waiter.completion)
            return true
        }
        return taken
    }
}

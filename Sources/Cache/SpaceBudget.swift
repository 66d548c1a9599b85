import Synchronization

/// Bytes that may come before space is looked at again. Thread-safe.
final class SpaceBudget: Sendable {
    private let writing = Atomic<Int64>(0)
    private let reading = Atomic<Int64>(0)

    /// Whether there was enough left.
    func spend(_ count: Int64, for purpose: SpacePurpose) -> Bool {
        switch purpose {
        case .writing: writing.subtract(count, ordering: .relaxed).newValue >= 0
        case .reading: reading.subtract(count, ordering: .relaxed).newValue >= 0
        // Rare, and of files that nobody else fetches: looked at each time.
        case .sending: false
        }
    }

    func grant(_ count: Int64, for purpose: SpacePurpose) {
        switch purpose {
        case .writing: writing.store(count, ordering: .relaxed)
        case .reading: reading.store(count, ordering: .relaxed)
        case .sending: break
        }
    }
}

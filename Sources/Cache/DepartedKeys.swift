import ObjectStore
import Synchronization

/// Keys whose objects were deleted lately, and when, in ``Journal/nextSequence()``: a listing that began before may
/// still have them. In memory alone, as no listing outlives the process.
///
/// Thread rule: any thread; a leaf lock.
final class DepartedKeys: Sendable {
    /// Beyond this many the older half is forgotten: such a key may be listed once more, until the next listing.
    private static let limit = 20_000

    private let keys = Mutex<[ObjectKey: Int64]>([:])

    func record(_ key: ObjectKey, at sequence: Int64) {
        keys.withLock { keys in
            if keys.count >= Self.limit {
                let middle = keys.values.sorted()[Self.limit / 2]
                keys = keys.filter { $0.value > middle }
            }
            keys[key] = sequence
        }
    }

    func contains(_ key: ObjectKey, since sequence: Int64) -> Bool {
        keys.withLock { $0[key].map { $0 > sequence } ?? false }
    }

    func contains(withPrefix prefix: String, since sequence: Int64) -> Bool {
        keys.withLock { $0.contains { $0.value > sequence && $0.key.hasPrefix(prefix) } }
    }
}

/// Who has a turn and who waits for one, so many at once; who waits comes in the order he asked. To be kept under a lock.
struct Turns {
    typealias Waiter = CheckedContinuation<Void, Never>

    private var free: Int
    private var waiting: [Waiter] = []

    init(atOnce count: Int) {
        free = max(1, count)
    }

    /// Whether `waiter` has his turn now; else he comes out of ``end()``.
    mutating func begin(_ waiter: Waiter) -> Bool {
        guard free == 0 else {
            free -= 1
            return true
        }
        waiting.append(waiter)
        return false
    }

    /// A turn has ended. Returns who has his now and is to be resumed; nil if nobody waits.
    mutating func end() -> Waiter? {
        guard waiting.isEmpty else { return waiting.removeFirst() }
        free += 1
        return nil
    }
}

import Dispatch
import Synchronization

/// Threads for work that waits for a disk. Not those of a global queue, which Swift's tasks share: as many as there are
/// processors, so that work which waits would hold up the tasks that it was taken from.
enum DiskThreads {
    /// At once; more wait behind the shortest line.
    private static let count = 16

    /// A serial queue has a thread whenever it has work.
    private static let queues = (0..<count).map { DispatchQueue(label: "disk-\($0)") }
    private static let waiting = Mutex([Int](repeating: 0, count: count))

    static func run(_ work: @escaping @Sendable () -> Void) {
        let index = waiting.withLock { waiting in
            let index = waiting.indices.min { waiting[$0] < waiting[$1] } ?? 0
            waiting[index] += 1
            return index
        }
        queues[index].async {
            work()
            waiting.withLock { $0[index] -= 1 }
        }
    }
}

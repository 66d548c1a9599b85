import Dispatch
import Synchronization

/// A bounded number of threads for work that waits, for a disk above all. Those of Swift's tasks are as many as there are
/// processors: work that waits there holds up all others. What comes when all are busy waits in the order it came.
///
/// Thread rule: any thread.
public final class BlockingThreads: Sendable {
    private struct State {
        var idle: [Int]
        var waiting: [@Sendable () -> Void] = []
        var firstWaiting = 0
    }

    /// A serial queue has a thread whenever it has work. A concurrent one has those of Swift's tasks.
    private let queues: [DispatchQueue]
    private let state: Mutex<State>

    public init(label: String, count: Int) {
        precondition(count > 0)
        queues = (0..<count).map { DispatchQueue(label: "\(label)-\($0)") }
        state = Mutex(State(idle: Array(queues.indices)))
    }

    public func run(_ work: @escaping @Sendable () -> Void) {
        let index = state.withLock { state in
            if state.idle.isEmpty { state.waiting.append(work) }
            return state.idle.popLast()
        }
        if let index { queues[index].async { self.work(work, on: index) } }
    }

    private func work(_ first: @Sendable () -> Void, on index: Int) {
        first()
        while let next = next(on: index) { next() }
    }

    private func next(on index: Int) -> (@Sendable () -> Void)? {
        state.withLock { state in
            guard state.firstWaiting < state.waiting.count else {
                state.waiting.removeAll()
                state.firstWaiting = 0
                state.idle.append(index)
                return nil
            }
            defer { state.firstWaiting += 1 }
            return state.waiting[state.firstWaiting]
        }
    }
}

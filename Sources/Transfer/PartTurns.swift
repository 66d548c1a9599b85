import Synchronization

/// Which parts of one file are being sent, so many at a time.
///
/// On a quick link a part passes its turn on when most of it is sent: while the rest is on its way and the store has not
/// answered, the next one is read for its checksum and the store is asked for it. Else the link would lie idle so long, the
/// more as parts that began together end together. On a slow one that is no time, and more would be lost when it breaks.
///
/// Thread rule: any thread; one task at a time waits.
final class PartTurns: Sendable {
    private struct Waiting {
        var part: Int
        var continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        /// Parts that have a turn.
        var inTurn: Set<Int> = []
        /// How many have not ended.
        var underWay = 0
        var hasFailed = false
        var waiting: Waiting?
    }

    private let state = Mutex(State())
    private let most: Int
    private let count: @Sendable () -> Int

    /// - Parameters:
    ///   - count: how many may have a turn now; asked each time.
    ///   - most: how many may be under way at once.
    init(most: Int, count: @escaping @Sendable () -> Int) {
        self.most = most
        self.count = count
    }

    /// Waits for a turn. Returns false once a part has failed.
    func begin(_ part: Int) async -> Bool {
        await withCheckedContinuation { continuation in
            change { $0.waiting = Waiting(part: part, continuation: continuation) }
        }
    }

    /// Most of a part is sent. May be told more than once.
    func passOn(_ part: Int) {
        change { $0.inTurn.remove(part) }
    }

    func end(_ part: Int, hasFailed: Bool) {
        change { state in
            state.inTurn.remove(part)
            state.underWay -= 1
            if hasFailed { state.hasFailed = true }
        }
    }

    private func change(_ change: (inout State) -> Void) {
        let (waiting, mayBegin) = state.withLock { state -> (Waiting?, Bool) in
            change(&state)
            let hasRoom = state.inTurn.count < count() && state.underWay < most
            guard let waiting = state.waiting, hasRoom || state.hasFailed else { return (nil, false) }
            state.waiting = nil
            if !state.hasFailed {
                state.inTurn.insert(waiting.part)
                state.underWay += 1
            }
            return (waiting, !state.hasFailed)
        }
        waiting?.continuation.resume(returning: mayBegin)
    }
}

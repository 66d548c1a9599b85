import Platform
import Synchronization

extension Journal {
    /// As ``synchronize()``, for a task, whose thread is for others while the disk works. Tasks that ask while a sync is under
    /// way share the next one.
    public func synchronizeAside() async throws(CacheError) {
        try await sharedSync.wait(on: disk) { [self] in Result { () throws(CacheError) in try synchronize() } }.get()
    }
}

/// Tasks that wait for the next sync. Thread rule: any thread.
final class SharedSync: Sendable {
    typealias Outcome = Result<Void, CacheError>

    private struct State {
        var waiting: [CheckedContinuation<Outcome, Never>] = []
        var isUnderWay = false
    }

    private let state = Mutex(State())

    /// Returns what came of a sync that began after the call.
    func wait(on disk: any Disk, _ synchronize: @escaping @Sendable () -> Outcome) async -> Outcome {
        await withCheckedContinuation { continuation in
            let isFirst = state.withLock { state in
                state.waiting.append(continuation)
                defer { state.isUnderWay = true }
                return !state.isUnderWay
            }
            if isFirst { disk.runAside { self.serve(synchronize) } }
        }
    }

    private func serve(_ synchronize: () -> Outcome) {
        while true {
            let served = state.withLock { state in
                defer { state.waiting = [] }
                state.isUnderWay = !state.waiting.isEmpty
                return state.waiting
            }
            guard !served.isEmpty else { return }
            let outcome = synchronize()
            for continuation in served { continuation.resume(returning: outcome) }
        }
    }
}

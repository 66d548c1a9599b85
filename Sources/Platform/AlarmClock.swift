import Synchronization

/// Does things later, most of which are called off before. One task sleeps for all of them, and goes on sleeping when one is
/// called off: setting and calling off wake no thread.
///
/// Thread rule: any thread. Actions run on any thread, under no lock.
final class AlarmClock: Sendable {
    private struct Alarm {
        var moment: Duration
        var action: @Sendable () -> Void
    }

    private struct State {
        var alarms: [UInt64: Alarm] = [:]
        var nextID: UInt64 = 0
        /// When the sleeper wakes; nil if there is none.
        var wakeAt: Duration?
        /// Of the sleeper; those before it do nothing any more.
        var generation: UInt64 = 0
        var sleeper: Task<Void, Never>?
    }

    private let time: any TimeSource
    private let state = Mutex(State())

    /// `time` is what is slept by.
    init(time: any TimeSource) {
        self.time = time
    }

    /// See ``TimeSource/after(_:_:)``.
    func after(_ duration: Duration, _ action: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        let moment = time.monotonic + duration
        let (id, former) = state.withLock { state -> (UInt64, Task<Void, Never>?) in
            let id = state.nextID
            state.nextID += 1
            state.alarms[id] = Alarm(moment: moment, action: action)
            if let wakeAt = state.wakeAt, wakeAt <= moment { return (id, nil) }
            let former = state.sleeper
            state.generation += 1
            state.wakeAt = moment
            state.sleeper = Task { [generation = state.generation] in await self.sleep(generation) }
            return (id, former)
        }
        former?.cancel()
        return { [weak self] in self?.state.withLock { _ = $0.alarms.removeValue(forKey: id) } }
    }

    private func sleep(_ generation: UInt64) async {
        while let wakeAt = ring(generation) {
            do { try await time.sleep(for: wakeAt - time.monotonic) } catch { return }
        }
    }

    /// Does what is due. Returns when to do so again; nil if there is nothing left to wait for, or another sleeper waits.
    private func ring(_ generation: UInt64) -> Duration? {
        let now = time.monotonic
        let (due, wakeAt) = state.withLock { state -> ([Alarm], Duration?) in
            guard state.generation == generation else { return ([], nil) }
            let due = state.alarms.filter { $0.value.moment <= now }
            for id in due.keys { state.alarms[id] = nil }
            state.wakeAt = state.alarms.values.map(\.moment).min()
            if state.wakeAt == nil { state.sleeper = nil }
            return (due.values.sorted { $0.moment < $1.moment }, state.wakeAt)
        }
        for alarm in due { alarm.action() }
        return wakeAt
    }
}

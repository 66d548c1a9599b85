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
        let id = state.withLock { state in
            let id = state.nextID
            state.nextID += 1
            state.alarms[id] = Alarm(moment: moment, action: action)
            if state.wakeAt.map({ $0 > moment }) ?? true {
                state.sleeper?.cancel()
                state.wakeAt = moment
                state.sleeper = Task { await self.sleep(until: moment) }
            }
            return id
        }
        return { [weak self] in self?.state.withLock { _ = $0.alarms.removeValue(forKey: id) } }
    }

    private func sleep(until first: Duration) async {
        var next: Duration? = first
        while let moment = next {
            do { try await time.sleep(for: moment - time.monotonic) } catch { return }
            next = ring()
        }
    }

    /// Does what is due. Returns when to do so again; nil if there is nothing left to wait for, or another sleeper does.
    private func ring() -> Duration? {
        let now = time.monotonic
        let (due, wakeAt) = state.withLock { state -> ([Alarm], Duration?) in
            guard !Task.isCancelled else { return ([], nil) }
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

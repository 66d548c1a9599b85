import CScheduler
import Foundation

/// Runs everything that one asynchronous function starts on one thread, in an order that follows from a seed: so that a
/// history of many tasks can be repeated, and none waits for another thread.
///
/// What is ready runs; when nothing is, ``rest()`` returns to whoever called it, else time passes (``onIdle``).
public final class SerialScheduler {
    /// Nothing can go on: a task waits for what nobody will do.
    public struct Stuck: Error {}

    private var ready: [UnsafeMutableRawPointer] = []
    private var random: SeededRandom
    private var resting: CheckedContinuation<Void, Never>?
    /// Lets time pass up to the next moment that somebody waits for; false if nobody does.
    private let onIdle: () -> Bool

    private static let installation: Void = sluice_scheduler_install { scheduler, job in
        guard let scheduler, let job else { return }
        Unmanaged<SerialScheduler>.fromOpaque(scheduler).takeUnretainedValue().ready.append(job)
    }

    private init(seed: UInt64, onIdle: @escaping () -> Bool) {
        random = SeededRandom(seed: seed)
        self.onIdle = onIdle
    }

    /// What `body` returns. Throws ``Stuck`` as well. `time`: passes by itself when nothing else can go on.
    public static func run<Value: Sendable>(
        seed: UInt64, time: ManualTime, _ body: @escaping @Sendable (SerialScheduler) async throws -> Value
    ) async throws -> Value {
        _ = installation
        return try await withCheckedThrowingContinuation { done in
            let thread = Thread {
                let scheduler = SerialScheduler(seed: seed, onIdle: { time.advanceToNextSleeper() })
                done.resume(with: scheduler.drive(body))
            }
            thread.stackSize = 8 << 20
            thread.start()
        }
    }

    /// Returns when everything else waits for the clock.
    public func rest() async {
        await withCheckedContinuation { resting = $0 }
    }

    /// SAFETY: all of it is used by the one thread.
    private final class Outcome<Value: Sendable>: @unchecked Sendable {
        var result: Result<Value, any Error>?
    }

    private func drive<Value: Sendable>(
        _ body: @escaping @Sendable (SerialScheduler) async throws -> Value
    ) -> Result<Value, any Error> {
        sluice_scheduler_enter(Unmanaged.passUnretained(self).toOpaque())
        defer { sluice_scheduler_enter(nil) }
        let outcome = Outcome<Value>()
        // SAFETY: the task runs on this thread alone.
        nonisolated(unsafe) let scheduler = self
        Task {
            do { outcome.result = .success(try await body(scheduler)) } catch { outcome.result = .failure(error) }
        }
        while outcome.result == nil {
            if runNext() { continue }
            if let waiter = resting {
                resting = nil
                waiter.resume()
            } else if !onIdle() {
                return .failure(Stuck())
            }
        }
        // What was cancelled ends; what waits for ever is left behind.
        while runNext() {}
        return outcome.result ?? .failure(Stuck())
    }

    /// Mostly the job that has waited longest.
    private func runNext() -> Bool {
        guard !ready.isEmpty else { return false }
        let index = ready.count > 1 && random.oneIn(3) ? Int.random(in: 0..<ready.count, using: &random) : 0
        sluice_scheduler_run(ready.remove(at: index))
        return true
    }
}

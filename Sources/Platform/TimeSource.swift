import CLinux

/// The clocks, handed in so that tests can turn them.
public protocol TimeSource: Sendable {
    /// Time since some fixed moment; never jumps, counts suspend (CLOCK_BOOTTIME).
    var monotonic: Duration { get }
    /// The wall clock, which may be wrong and may jump.
    var wall: Timestamp { get }
    /// Waits on the monotonic clock. Throws CancellationError when the task is cancelled.
    func sleep(for duration: Duration) async throws
    /// Does `action` when `duration` has passed on the monotonic clock, on any thread and under no lock. What is returned
    /// calls it off, if it is not too late.
    func after(_ duration: Duration, _ action: @escaping @Sendable () -> Void) -> @Sendable () -> Void
}

/// The machine's clocks.
public struct SystemTime: TimeSource {
    public init() {}

    public var monotonic: Duration {
        let time = Self.read(CLOCK_BOOTTIME)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    public var wall: Timestamp {
        let time = Self.read(CLOCK_REALTIME)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }

    public func sleep(for duration: Duration) async throws {
        try await Task.sleep(for: duration)
    }

    private static let alarms = AlarmClock(time: SystemTime())

    public func after(_ duration: Duration, _ action: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        Self.alarms.after(duration, action)
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        let result = clock_gettime(clock, &time)
        precondition(result == 0, "clock_gettime fails only for a clock the kernel does not have")
        return time
    }
}

import Dispatch
import Logging
import Synchronization

/// Calls ``FileCache/flush()`` every `flush_interval`, on a thread of its own: programs that never call fsync lose no
/// more than that to a power cut.
public final class Flusher: Sendable {
    private let cache: FileCache
    private let afterEach: @Sendable () -> Void
    private let queue = DispatchQueue(label: "flush")
    // SAFETY: a dispatch source may be used from any thread; its protocol does not say so.
    nonisolated(unsafe) private let timer: any DispatchSourceTimer
    private let logger: Logger
    private let lastError = Mutex("")

    /// Starts flushing. `afterEach` is called after each flush, also one that failed.
    public init(
        cache: FileCache, interval: Duration, logger: Logger, afterEach: @escaping @Sendable () -> Void = {}
    ) {
        self.cache = cache
        self.afterEach = afterEach
        self.logger = logger
        let milliseconds = max(10, Int(interval / .milliseconds(1)))
        let source = DispatchSource.makeTimerSource(queue: queue)
        source.schedule(
            deadline: .now() + .milliseconds(milliseconds), repeating: .milliseconds(milliseconds),
            leeway: .milliseconds(milliseconds / 10))
        timer = source
        source.setEventHandler { [self] in flush() }
        source.activate()
    }

    /// Ends the timer after one last flush. Returns when that is done.
    public func stop() {
        timer.cancel()
        queue.sync { flush() }
    }

    private func flush() {
        do {
            try cache.flush()
            lastError.withLock { $0 = "" }
        } catch {
            report("\(error)")
        }
        afterEach()
    }

    /// What fails for hours, as on a full disk, is logged once.
    private func report(_ error: String) {
        let isNews = lastError.withLock { last in
            defer { last = error }
            return last != error
        }
        if isNews { logger.error("flushing failed", metadata: ["error": "\(error)"]) }
    }
}

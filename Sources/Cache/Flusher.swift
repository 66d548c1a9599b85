import Dispatch
import Logging

/// Calls ``FileCache/flush()`` every `flush_interval`, on a thread of its own: programs that never call fsync lose no
/// more than that to a power cut.
public final class Flusher: Sendable {
    private let cache: FileCache
    private let queue = DispatchQueue(label: "flush")
    // SAFETY: a dispatch source may be used from any thread; its protocol does not say so.
    nonisolated(unsafe) private let timer: any DispatchSourceTimer
    private let logger: Logger

    /// Starts flushing.
    public init(cache: FileCache, interval: Duration, logger: Logger) {
        self.cache = cache
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
        } catch {
            logger.error("flushing failed", metadata: ["error": "\(error)"])
        }
    }
}

import Logging
import ObjectStore
import Platform
import Synchronization

/// Holds the ``LinkState``, asks a dead link again and again whether it is back, and tells everybody at once.
///
/// Thread rule: any thread. Listeners are called under no lock, on the thread whose request brought the news.
public final class LinkMonitor: Sendable {
    /// A person at a robot waits no longer than this for uploads to resume.
    private static let longestProbePause = Duration.seconds(15)

    private let time: any TimeSource
    private let logger: Logger
    private let state = Mutex(State())

    private struct State {
        var link = LinkState()
        var prober: Task<Void, Never>?
        var probe: (@Sendable () async -> StoreError?)?
        var listeners: [@Sendable (LinkState.Condition) -> Void] = []
    }

    public init(time: any TimeSource, logger: Logger) {
        self.time = time
        self.logger = logger
    }

    public var condition: LinkState.Condition { state.withLock { $0.link.condition } }

    /// Whether requests have a chance to pass.
    public var isOffline: Bool { state.withLock { $0.link.isOffline } }

    /// Called after every change of the condition.
    public func addListener(_ listener: @escaping @Sendable (LinkState.Condition) -> Void) {
        state.withLock { $0.listeners.append(listener) }
    }

    /// From now on, a link that is gone is probed with requests to `store` until ``stop()``.
    public func start(probing store: any ObjectStore) {
        state.withLock { $0.probe = { await Self.probe(store) } }
    }

    public func stop() {
        let prober = state.withLock { state in
            state.probe = nil
            defer { state.prober = nil }
            return state.prober
        }
        prober?.cancel()
    }

    public func pause() { setPaused(true) }
    public func resume() { setPaused(false) }

    /// Takes the outcome of a request; nil for a success.
    public func record(_ error: StoreError?) {
        let isNews = state.withLock { $0.link.record(error) }
        guard isNews else { return }
        let isOffline = isOffline
        if isOffline {
            logger.warning("the store cannot be reached", metadata: ["error": "\(error?.message ?? "")"])
            startProbing()
        } else {
            logger.notice("the store can be reached again")
        }
        announce()
    }

    /// Somebody else found that the store cannot be reached: probing begins.
    public func assumeOffline(_ error: StoreError) {
        for _ in 0..<LinkState.failuresUntilOffline { record(error) }
    }

    private func setPaused(_ isPaused: Bool) {
        state.withLock { $0.link.isPaused = isPaused }
        announce()
    }

    private func announce() {
        let (listeners, condition) = state.withLock { ($0.listeners, $0.link.condition) }
        for listener in listeners { listener(condition) }
    }

    private func startProbing() {
        state.withLock { state in
            guard state.prober == nil, let probe = state.probe else { return }
            state.prober = Task { [weak self] in await self?.probeUntilOnline(probe) }
        }
    }

    private func probeUntilOnline(_ probe: @Sendable () async -> StoreError?) async {
        var random = SystemRandomNumberGenerator()
        var backoff = Backoff(cap: Self.longestProbePause)
        while isOffline, !Task.isCancelled {
            do { try await time.sleep(for: backoff.next(using: &random)) } catch { break }
            record(await probe())
        }
        state.withLock { $0.prober = nil }
        // The link may have gone again before the prober was forgotten.
        if isOffline, !Task.isCancelled { startProbing() }
    }

    /// Any answer will do, so the cheapest question is for an object that need not exist.
    private static func probe(_ store: any ObjectStore) async -> StoreError? {
        do {
            _ = try await store.head(ObjectKey("sluice-link-probe"))
            return nil
        } catch {
            return error
        }
    }
}

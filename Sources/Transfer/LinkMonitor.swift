import Logging
import ObjectStore
import Platform
import Synchronization

/// Holds the ``LinkState``, asks a dead link again and again whether it is back, and tells everybody at once.
///
/// A request that fails for want of a way, and one that gives no sign of life, are each asked about by a probe: so a
/// link is known to be gone within seconds, also when nothing breaks and nothing comes. Requests that gave no sign
/// of life over a link that is gone are given up, so that they start anew when it is back.
///
/// Thread rule: any thread. Listeners are called under no lock, on the thread whose request brought the news.
public final class LinkMonitor: Sendable {
    /// While the link is gone. Uploads start within a second of its return.
    private static let probePause = Duration.milliseconds(450)
    /// While it is the credentials that are in the way: who renews them is not to be pressed.
    private static let keyPause = Duration.seconds(2)
    /// A probe without an answer is given up: twice the longest round trip that is met in practice.
    private static let probeLimit = Duration.seconds(3)
    /// Probes under way at once: one that hangs must not keep later ones from finding the way.
    private static let probeCount = 8

    private let time: any TimeSource
    private let logger: Logger
    private let silence: Duration?
    private let state = Mutex(State())

    private struct State {
        var link = LinkState()
        var prober: Task<Void, Never>?
        var watcher: Task<Void, Never>?
        var probesUnderWay = 0
        var probe: Probe?
        var listeners: [@Sendable (LinkState.Condition) -> Void] = []
        var requests: [ObjectIdentifier: RequestWatch] = [:]
        /// When a request was last answered.
        var answered = Duration.zero
    }

    /// Takes whether the credentials are in doubt.
    private typealias Probe = @Sendable (Bool) async -> StoreError?

    /// - Parameter silence: a request that gives no sign of life for so long is asked about by a probe; nil for never.
    public init(time: any TimeSource, silence: Duration? = nil, logger: Logger) {
        self.time = time
        self.silence = silence
        self.logger = logger
    }

    public var condition: LinkState.Condition { state.withLock { $0.link.condition } }

    /// Whether requests have no chance to pass.
    public var isOffline: Bool { state.withLock { $0.link.isOffline } }

    /// Why the store cannot be reached; nil while it can.
    public var reason: String? { state.withLock { $0.link.isOffline ? $0.link.reason : nil } }

    /// Called after every change of the condition.
    public func addListener(_ listener: @escaping @Sendable (LinkState.Condition) -> Void) {
        state.withLock { $0.listeners.append(listener) }
    }

    /// From now on, a link in doubt is probed with requests to `store`, which do not report here by themselves, until
    /// ``stop()``.
    public func start(probing store: any ObjectStore) {
        state.withLock { $0.probe = { await Self.probe(store, forKeys: $0) } }
    }

    public func stop() {
        let tasks = state.withLock { state in
            state.probe = nil
            defer { (state.prober, state.watcher) = (nil, nil) }
            return [state.prober, state.watcher].compactMap { $0 }
        }
        for task in tasks { task.cancel() }
    }

    public func pause() { setPaused(true) }
    public func resume() { setPaused(false) }

    private func setPaused(_ isPaused: Bool) {
        state.withLock { $0.link.isPaused = isPaused }
        announce()
    }

    private func announce() {
        let (listeners, condition) = state.withLock { ($0.listeners, $0.link.condition) }
        for listener in listeners { listener(condition) }
    }
}

// MARK: Outcomes

extension LinkMonitor {
    /// Takes the outcome of a request; nil for a success.
    public func record(_ error: StoreError?) { take(error) { $0.record(error) } }

    /// Somebody else found that the store cannot be reached: probing begins.
    public func assumeOffline(_ error: StoreError) {
        let found = error.isLinkFailure ? error : StoreError(.unreachable, message: error.message)
        take(found) { $0.recordProbe(found) }
    }

    private func take(_ error: StoreError?, _ record: (inout LinkState) -> Bool) {
        let now = time.monotonic
        let (isNews, isOffline, isDoubtful) = state.withLock { state in
            let isNews = record(&state.link)
            if error == nil || error?.isLinkFailure == false && error?.kind != .cancelled { state.answered = now }
            return (isNews, state.link.isOffline, state.link.isDoubtful)
        }
        if isNews { tell(error, isOffline: isOffline) }
        if isOffline || isDoubtful { startProbing() }
        if isNews { announce() }
    }

    private func tell(_ error: StoreError?, isOffline: Bool) {
        if isOffline {
            let event: Logger.Message =
                error?.isKeyFailure == true
                ? "no credentials that the store takes: uploads wait" : "the store cannot be reached"
            logger.warning(event, metadata: ["error": "\(error?.message ?? "")"])
        } else {
            logger.notice("the store can be reached again")
        }
    }
}

// MARK: Probing

extension LinkMonitor {
    private func startProbing() {
        state.withLock { state in
            guard state.prober == nil, let probe = state.probe else { return }
            state.prober = Task { [weak self] in await self?.probeUntilOnline(probe) }
        }
    }

    /// Asks at once, then at each pause, whether or not the probes before have ended.
    private func probeUntilOnline(_ probe: @escaping Probe) async {
        repeat {
            if admitsProbe() {
                let isFirst = !isOffline
                let asking = Task { [weak self] in await self?.askOnce(probe) ?? () }
                if isFirst { await asking.value }
            }
            guard isOffline else { break }
            do { try await time.sleep(for: lacksKeys ? Self.keyPause : Self.probePause) } catch { break }
        } while isOffline && !Task.isCancelled
        state.withLock { $0.prober = nil }
        // The link may have gone again before the prober was forgotten.
        if isOffline, !Task.isCancelled { startProbing() }
    }

    private func admitsProbe() -> Bool {
        state.withLock { state in
            guard state.probesUnderWay < Self.probeCount else { return false }
            state.probesUnderWay += 1
            return true
        }
    }

    private func askOnce(_ probe: @escaping Probe) async {
        let error = await withinLimit(probe)
        state.withLock { $0.probesUnderWay -= 1 }
        take(error) { $0.recordProbe(error) }
    }

    private func withinLimit(_ probe: @escaping Probe) async -> StoreError? {
        let lacksKeys = lacksKeys
        return await withTaskGroup(of: StoreError?.self) { group in
            group.addTask { await probe(lacksKeys) }
            group.addTask { [time] in
                do { try await time.sleep(for: Self.probeLimit) } catch {
                    return StoreError(.cancelled, message: "cancelled")
                }
                return StoreError(.unreachable, message: "no answer within \(Self.probeLimit)")
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }

    private var lacksKeys: Bool { state.withLock { $0.link.lacksKeys } }

    /// Any answer will do, so the cheapest question is for an object that need not exist; but its refusal does not say
    /// whether it is for the keys, as that of a listing does.
    private static func probe(_ store: any ObjectStore, forKeys: Bool) async -> StoreError? {
        do {
            if forKeys {
                _ = try await store.list(prefix: "", delimiter: nil, continuation: nil, limit: 1)
                return nil
            }
            _ = try await store.head(ObjectKey("sluice-link-probe"))
            return nil
        } catch {
            return error
        }
    }
}

// MARK: Silence

extension LinkMonitor {
    /// Between two looks at requests that are silent while the store answers probes.
    private static let shortestLook = Duration.milliseconds(250)

    /// Whether requests are to be watched.
    var watches: Bool { silence != nil }

    func makeWatch() -> RequestWatch { RequestWatch(time: time) }

    /// From now on `request` is looked after, until ``forget(_:)``.
    func watch(_ request: RequestWatch) {
        state.withLock { state in
            state.requests[ObjectIdentifier(request)] = request
            guard state.watcher == nil else { return }
            state.watcher = Task { [weak self] in await self?.watchSilence() }
        }
    }

    func forget(_ request: RequestWatch) {
        state.withLock { _ = $0.requests.removeValue(forKey: ObjectIdentifier(request)) }
    }

    private func watchSilence() async {
        while let wait = lookAfterRequests() {
            do { try await time.sleep(for: max(wait, Self.shortestLook)) } catch { return }
        }
    }

    /// How long until the next look; nil when there is nothing to look after.
    private func lookAfterRequests() -> Duration? {
        guard let silence else { return nil }
        let now = time.monotonic
        let (wait, lost, isInDoubt) = state.withLock { state -> (Duration?, [RequestWatch], Bool) in
            guard let oldest = state.requests.values.map(\.lastSign).min(), !Task.isCancelled else {
                state.watcher = nil
                return (nil, [], false)
            }
            guard now - oldest >= silence else { return (oldest + silence - now, [], false) }
            let silent = state.requests.values.filter { now - $0.lastSign >= silence }
            if state.link.isOffline { return (silence, silent, false) }
            // Somebody else's answer is as good as a probe's.
            let since = now - state.answered
            return since < silence ? (silence - since, [], false) : (silence, [], true)
        }
        for request in lost { request.giveUp() }
        if isInDoubt { startProbing() }
        return lost.isEmpty && !isInDoubt ? wait : wait.map { min($0, .seconds(1)) }
    }
}

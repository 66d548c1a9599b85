import Logging
import ObjectStore
import Platform
import Synchronization

/// Carries out operations: signs, sends, understands refusals, and tries again a bounded number of times.
final class S3Client: Sendable {
    private struct State {
        var knowledge: StoreKnowledge
        var random: any RandomNumberGenerator & Sendable
    }

    let configuration: S3Configuration
    private let credentials: any CredentialsProvider
    private let transport: HTTPTransport
    private let time: any TimeSource
    private let logger: Logger
    private let state: Mutex<State>

    init(
        configuration: S3Configuration,
        credentials: any CredentialsProvider,
        time: any TimeSource,
        random: any RandomNumberGenerator & Sendable,
        traffic: (any TrafficObserver)?,
        logger: Logger
    ) throws(StoreError) {
        self.configuration = configuration
        self.credentials = credentials
        self.time = time
        self.logger = logger
        state = Mutex(State(knowledge: StoreKnowledge(region: configuration.region), random: random))
        let limits = CurlLoop.Limits(
            concurrency: configuration.concurrency,
            connectTimeout: configuration.timeouts.connect,
            caBundle: configuration.caBundle
        )
        transport = try HTTPTransport(limits, traffic: traffic)
    }

    /// The bucket's region as far as it is known.
    var region: String { state.withLock { $0.knowledge.region } }

    /// Whether uploads in parts are worth creating with a checksum.
    var uploadsMayHaveChecksums: Bool { state.withLock { $0.knowledge.mayHaveChecksums } }

    /// From now on, uploads in parts are created without a checksum.
    func giveUpChecksums(because error: StoreError) {
        state.withLock { $0.knowledge.mayHaveChecksums = false }
        logger.notice(
            "uploads in parts may have failed for their CRC-64: parts are sent with their MD5 now, which costs more time",
            metadata: ["error": "\(error)"]
        )
    }

    /// Sends what `make` gives, which is asked again for every attempt, until there is an answer that `read` accepts,
    /// or a failure that stays. `progress` tells how many bytes came so far: who gets further has his attempts anew.
    /// `attempts`: no more than these, corrections left out.
    func send<Value>(
        attempts: Int = .max,
        _ make: () throws(StoreError) -> S3Request,
        progress: () -> Int64 = { 0 },
        read: (HTTPResponse) throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        var failures = 0
        var corrections = 0
        var hasAskedForKeys = false
        var reached = progress()
        while true {
            let knownRegion = region
            let failure: Failure
            switch await attempt(try make(), region: knownRegion, read: read) {
            case .success(let value): return value
            case .failure(let error): failure = error
            }
            if corrections < Self.maximumCorrections, learn(from: failure, triedRegion: knownRegion) {
                corrections += 1
                continue
            }
            if failure.error.kind == .clockSkewed { state.withLock { $0.knowledge.forgetClock() } }
            if !hasAskedForKeys, failure.error.kind == .badCredentials, let used = failure.credentials,
                credentials.refused(used)
            {
                hasAskedForKeys = true
                continue
            }
            if progress() - reached >= Self.notableProgress { failures = 0 }
            reached = progress()
            failures += 1
            guard failures < attempts, let delay = delay(after: failure.error, attempt: failures) else {
                throw failure.error
            }
            note(failure.error, attempt: failures, delay: delay)
            do { try await time.sleep(for: delay) } catch { throw StoreError(.cancelled, message: "cancelled") }
        }
    }

    /// One for the region and one for the clock.
    private static let maximumCorrections = 2
    /// A download that got this much further is worth as many attempts as a new one; bytes.
    private static let notableProgress: Int64 = 1 << 20

    /// A failed attempt, and what else its answer told.
    private struct Failure: Error {
        var error: StoreError
        var date: Timestamp?
        /// Those that it was signed with.
        var credentials: Credentials?
    }

    private func attempt<Value>(
        _ request: S3Request,
        region: String,
        read: (HTTPResponse) throws(StoreError) -> Value
    ) async -> Result<Value, Failure> {
        do {
            let signedAt = storeTime()
            let credentials = try await credentials(at: signedAt)
            let signed = sign(request, region: region, time: signedAt, credentials)
            let response = try await transport.send(signed)
            if let error = ForeignAnswer.error(in: response, to: request) { return .failure(Failure(error: error)) }
            guard let error = ErrorAnswer.error(in: response) else { return .success(try read(response)) }
            let date = response.headers["date"].flatMap { CalendarTime(http: $0) }?.timestamp
            return .failure(
                Failure(
                    error: StoreKnowledge.diagnosed(error, date: date, signedAt: signedAt), date: date,
                    credentials: credentials)
            )
        } catch {
            return .failure(Failure(error: explained(error)))
        }
    }

    /// A certificate is judged by this machine's clock, which may be what is wrong.
    private func explained(_ error: StoreError) -> StoreError {
        guard error.kind == .untrusted, error.message.contains("not yet valid") || error.message.contains("expired")
        else { return error }
        var error = error
        error.message += " (by this machine's clock, which says \(CalendarTime(time.wall).basic))"
        return error
    }

    private func credentials(at time: Timestamp) async throws(StoreError) -> Credentials {
        if let keys = try await credentials.credentials(at: time) { return keys }
        throw StoreError(.noCredentials, message: "no credentials found; looked in \(credentials.place)")
    }

    private func sign(
        _ request: S3Request, region: String, time: Timestamp, _ credentials: Credentials
    ) -> HTTPRequest {
        RequestSigner(
            address: configuration.bucketAddress(region: region),
            region: region,
            credentials: credentials,
            time: time,
            timeouts: configuration.timeouts
        ).sign(request)
    }

    private func storeTime() -> Timestamp {
        let (wall, monotonic) = (time.wall, time.monotonic)
        return state.withLock { $0.knowledge.storeTime(wall: wall, monotonic: monotonic) }
    }

    /// Another request may have learned the same meanwhile: then this one only has to be sent again.
    private func learn(from failure: Failure, triedRegion: String) -> Bool {
        let now = time.monotonic
        return state.withLock { state in
            if failure.error.kind == .wrongRegion, state.knowledge.region != triedRegion { return true }
            return state.knowledge.learn(from: failure.error, date: failure.date, monotonic: now)
        }
    }

    private func delay(after error: StoreError, attempt: Int) -> Duration? {
        state.withLock { state in
            configuration.retry.delay(after: error, attempt: attempt, using: &state.random)
        }
    }

    private func note(_ error: StoreError, attempt: Int, delay: Duration) {
        logger.debug(
            "a request to the store failed and is sent again",
            metadata: ["error": "\(error)", "attempt": "\(attempt)", "delay": "\(delay)"]
        )
    }
}

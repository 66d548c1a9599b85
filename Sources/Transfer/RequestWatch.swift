import ObjectStore
import Platform
import Synchronization

/// One request under way, as a ``LinkMonitor`` looks after it: when it last gave a sign of life, and how to end it.
final class RequestWatch: Sendable {
    private let time: any TimeSource
    private let state: Mutex<State>

    private struct State {
        var lastSign: Duration
        var isGivenUp = false
        var cancel: (@Sendable () -> Void)?
    }

    init(time: any TimeSource) {
        self.time = time
        state = Mutex(State(lastSign: time.monotonic))
    }

    /// By the monotonic clock.
    var lastSign: Duration { state.withLock { $0.lastSign } }
    var isGivenUp: Bool { state.withLock { $0.isGivenUp } }

    /// Bytes have moved.
    func sign() {
        let now = time.monotonic
        state.withLock { $0.lastSign = now }
    }

    /// How ``giveUp()`` ends the request.
    func onGivingUp(_ cancel: @escaping @Sendable () -> Void) {
        let isGivenUp = state.withLock { state in
            state.cancel = cancel
            return state.isGivenUp
        }
        if isGivenUp { cancel() }
    }

    func giveUp() {
        let cancel = state.withLock { state in
            state.isGivenUp = true
            return state.cancel
        }
        cancel?()
    }
}

/// Tells a ``RequestWatch`` of each reading of a body that is sent.
struct WatchedSource: ByteSource {
    let base: any ByteSource
    let watch: RequestWatch

    var count: Int64 { base.count }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws {
        try base.read(into: buffer, at: offset)
        watch.sign()
    }
}

/// Tells a ``RequestWatch`` of all that is received.
struct WatchedSink: ByteSink {
    let base: any ByteSink
    let watch: RequestWatch

    func begin(_ info: ObjectInfo) throws {
        watch.sign()
        try base.begin(info)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        watch.sign()
        try base.write(bytes, at: offset)
    }
}

import Synchronization

/// How far the upload of one file has come, fed by its ``UploadSource``s.
final class UploadProgress: Sendable {
    private struct State {
        var done: Int64 = 0
        var total: Int64 = 0
        var hasBegun = false
    }

    private let state = Mutex(State())
    private let onSent: @Sendable (Int64) -> Void

    /// `onSent` is told bytes as they go out.
    init(onSent: @escaping @Sendable (Int64) -> Void = { _ in }) {
        self.onSent = onSent
    }

    /// Bytes done and in all.
    var status: (done: Int64, total: Int64) { state.withLock { (min($0.done, $0.total), $0.total) } }

    /// False as long as it waits for its turn.
    var hasBegun: Bool { state.withLock(\.hasBegun) }

    func start(total: Int64) {
        state.withLock { $0 = State(done: 0, total: total, hasBegun: true) }
    }

    func sent(_ bytes: Int64) {
        state.withLock { $0.done += bytes }
        onSent(bytes)
    }

    /// Bytes that the store has already; negative when a transfer broke and its bytes have to be sent again.
    func skip(_ bytes: Int64) {
        state.withLock { $0.done += bytes }
    }
}

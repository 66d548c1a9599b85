import Synchronization

/// Where the parts that look at the bucket report what changed, and whoever has to follow listens.
public final class ChangeFeed: Sendable {
    private let listener = Mutex<(@Sendable ([BucketChange]) -> Void)?>(nil)

    public init() {}

    /// Sets the one listener.
    public func listen(_ listener: @escaping @Sendable ([BucketChange]) -> Void) {
        self.listener.withLock { $0 = listener }
    }

    /// Calls the listener on this thread; to be called under no lock.
    public func report(_ changes: [BucketChange]) {
        guard !changes.isEmpty, let listener = listener.withLock({ $0 }) else { return }
        listener(changes)
    }
}

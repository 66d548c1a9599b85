import Synchronization

/// Told of every piece of a body that moves. Called on the transport's thread, thousands of times a second: must be
/// cheap and never wait.
public protocol TrafficObserver: Sendable {
    /// `bytes` were handed to the network.
    func sent(_ bytes: Int)
    /// `bytes` came from the network.
    func received(_ bytes: Int)
}

/// Counts bytes of bodies since it was made; a rate is the difference of two looks.
public final class TrafficCounters: TrafficObserver {
    private let sentCount = Atomic<Int>(0)
    private let receivedCount = Atomic<Int>(0)

    public init() {}

    /// Bytes.
    public var totalSent: Int { sentCount.load(ordering: .relaxed) }
    /// Bytes.
    public var totalReceived: Int { receivedCount.load(ordering: .relaxed) }

    public func sent(_ bytes: Int) { sentCount.wrappingAdd(bytes, ordering: .relaxed) }
    public func received(_ bytes: Int) { receivedCount.wrappingAdd(bytes, ordering: .relaxed) }
}

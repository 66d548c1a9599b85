/// The system's random numbers in a type that is not empty. SystemRandomNumberGenerator is empty and so has no address;
/// ThreadSanitizer looks at the address of whatever a call may change, and dies of that one.
public struct SystemRandom: RandomNumberGenerator, Sendable {
    private var last: UInt64 = 0

    public init() {}

    public mutating func next() -> UInt64 {
        last = .random(in: 0...(.max))
        return last
    }
}

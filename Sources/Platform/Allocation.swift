/// What fallocate(2) does with a range of a file.
public enum Allocation: Equatable, Sendable {
    /// Takes space for the range; what is there stays.
    case reserve(keepsSize: Bool)
    /// Makes the range zeros that have their space.
    case zero(keepsSize: Bool)
    /// Makes the range zeros and gives its space back. The size stays.
    case punchHole

    /// Whether the size stays as it is where the range goes beyond it.
    public var keepsSize: Bool {
        switch self {
        case .reserve(let keepsSize), .zero(let keepsSize): keepsSize
        case .punchHole: true
        }
    }

    /// Whether what the range held is gone.
    public var zeroes: Bool {
        switch self {
        case .reserve: false
        case .zero, .punchHole: true
        }
    }
}

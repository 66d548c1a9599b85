import Platform

extension Allocation {
    /// The flags of fallocate(2).
    var flags: Int32 {
        let keepSize: Int32 = 1
        let punchHole: Int32 = 2
        let zeroRange: Int32 = 16
        let kept = keepsSize ? keepSize : 0
        return switch self {
        case .reserve: kept
        case .zero: zeroRange | kept
        case .punchHole: punchHole | kept
        }
    }
}

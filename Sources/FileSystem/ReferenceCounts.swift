import Cache

/// How often the kernel refers to each inode, packed: a million inodes that a listing made one after the other take some
/// 5 MB. Pure.
///
/// A group of neighbours lies together; what of a count does not fit there, which few inodes have, is kept apart.
struct ReferenceCounts {
    typealias Group = SIMD16<UInt16>

    private static let size = UInt64(Group.scalarCount)
    private static let bits = UInt64(Group.Scalar.bitWidth)

    /// By the inode's number divided by ``size``; none is zero throughout.
    private(set) var groups: [UInt64: Group] = [:]
    /// Counts without their lowest ``bits``; none is zero.
    private var rest: [InodeNumber: UInt64] = [:]

    /// Zero for an inode that the kernel does not refer to.
    subscript(_ inode: InodeNumber) -> UInt64 {
        get {
            let low = groups[inode.rawValue / Self.size]?[Self.place(of: inode)] ?? 0
            return UInt64(low) | (rest.isEmpty ? 0 : (rest[inode] ?? 0) << Self.bits)
        }
        set {
            setLow(UInt16(truncatingIfNeeded: newValue), of: inode)
            let high = newValue >> Self.bits
            if high > 0 || !rest.isEmpty { rest[inode] = high > 0 ? high : nil }
        }
    }

    private mutating func setLow(_ low: UInt16, of inode: InodeNumber) {
        let number = inode.rawValue / Self.size
        groups[number, default: .zero][Self.place(of: inode)] = low
        if low == 0, groups[number] == .zero { groups[number] = nil }
        // A dictionary does not become smaller by itself.
        if groups.isEmpty { groups = [:] }
    }

    private static func place(of inode: InodeNumber) -> Int { Int(inode.rawValue % size) }
}

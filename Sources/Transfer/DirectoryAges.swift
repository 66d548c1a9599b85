import Cache

/// How old what is known of each directory is: ``DirectoryFreshness``, packed. Pure.
///
/// Of most directories there is no more to remember than when they were listed: a hundred thousand take some 6 MB.
struct DirectoryAges {
    /// Directories of which that is all; beyond, the half of them that was listed longest ago is taken for stale.
    static let listedLimit = 390_000
    /// All others; beyond, those that are not being listed are taken for stale.
    static let otherLimit = 12_000

    private(set) var listed: [InodeNumber: Duration] = [:]
    private var others: [InodeNumber: DirectoryFreshness] = [:]

    /// That of a directory which was never listed, if nothing is remembered.
    subscript(directory: InodeNumber) -> DirectoryFreshness {
        get {
            others[directory] ?? listed[directory].map(DirectoryFreshness.init(listedAt:)) ?? DirectoryFreshness()
        }
        set {
            if let time = newValue.listedAt {
                others[directory] = nil
                if listed.count >= Self.listedLimit { forgetOldest() }
                listed[directory] = time
            } else {
                listed[directory] = nil
                if others.count >= Self.otherLimit { others = others.filter { $0.value.isUnderWay } }
                others[directory] = newValue == DirectoryFreshness() ? nil : newValue
            }
        }
    }

    private mutating func forgetOldest() {
        let times = listed.values.sorted()
        let middle = times[times.count / 2]
        listed = listed.filter { $0.value > middle }
    }
}

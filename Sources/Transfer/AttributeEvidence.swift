import Cache

/// Whether what a listing tells of a file (size, time) is all that there is: most buckets that other tools filled have no
/// attributes in the metadata of their objects, and asking for each one would cost a request a file. Pure.
///
/// Objects that were asked for are the evidence. A directory is trusted when so many of its own carried none, or when a
/// directory above it has several others that are trusted, and none at or below it had an object that carried some. One
/// object with attributes ends the trust, in its directory for good.
struct AttributeEvidence {
    /// Objects without attributes after which a directory is trusted.
    static let enough = 16
    /// Trusted directories after which others beside them are.
    static let enoughChildren = 3
    /// Objects without attributes in directories below one, each too small to be trusted by itself, after which all are.
    static let enoughBelow = 64
    /// From this look on, each that is a power of two is asked for all the same.
    static let firstCheck = 32
    /// Directories above one that count for it.
    static let reach = 8
    /// Directories remembered, and files to ask for; beyond, all are forgotten.
    static let memoryLimit = 65_536

    private struct Tally {
        var plain = 0
        var looks = 0
        /// An object in it carried attributes.
        var hasCarrier = false
        /// An object below it did.
        var hasCarrierBelow = false
        /// Objects below it that carried none.
        var plainBelow = 0
        /// Directories in it that are trusted by what they or theirs showed.
        var trustedChildren = 0
        var isCounted = false

        var isTrusted: Bool { !hasCarrier && plain >= AttributeEvidence.enough }
        var vouches: Bool {
            !hasCarrier && !hasCarrierBelow
                && (trustedChildren >= AttributeEvidence.enoughChildren || plainBelow >= AttributeEvidence.enoughBelow)
        }
    }

    private var tallies: [InodeNumber: Tally] = [:]
    /// News in directories that were listed before: few, and more often by programs that write attributes.
    private var exceptions: Set<InodeNumber> = []

    /// An object was asked for. `path`: its directory and those above that one, nearest first.
    mutating func learned(isPlain: Bool, in path: [InodeNumber]) {
        guard let directory = path.first else { return }
        if tallies.count >= Self.memoryLimit { tallies = [:] }
        guard isPlain else {
            tallies[directory, default: Tally()].hasCarrier = true
            for above in path.dropFirst().prefix(Self.reach) {
                tallies[above, default: Tally()].hasCarrierBelow = true
            }
            return
        }
        tallies[directory, default: Tally()].plain += 1
        for above in path.dropFirst().prefix(Self.reach) { tallies[above, default: Tally()].plainBelow += 1 }
        countTrust(path)
    }

    /// Trust goes up, once for each directory.
    private mutating func countTrust(_ path: [InodeNumber]) {
        for (directory, parent) in zip(path, path.dropFirst()).prefix(Self.reach) {
            guard var tally = tallies[directory], !tally.isCounted, tally.isTrusted || tally.vouches else { return }
            tally.isCounted = true
            tallies[directory] = tally
            tallies[parent, default: Tally()].trustedChildren += 1
        }
    }

    /// Files to be asked for whatever others showed.
    mutating func except(_ files: [InodeNumber]) {
        if exceptions.count + files.count > Self.memoryLimit { exceptions = [] }
        exceptions.formUnion(files)
    }

    /// Whether a directory is trusted. `path`: the directory and those above it, nearest first.
    func isTrusted(_ path: [InodeNumber]) -> Bool {
        guard let directory = path.first else { return false }
        let tally = tallies[directory] ?? Tally()
        guard !tally.hasCarrier else { return false }
        return tally.isTrusted || path.dropFirst().prefix(Self.reach).contains { tallies[$0]?.vouches ?? false }
    }

    /// A look at a file. `path`: its directory and those above that one, nearest first.
    mutating func trusts(_ file: InodeNumber, in path: [InodeNumber]) -> Bool {
        guard let directory = path.first, !exceptions.contains(file), isTrusted(path) else { return false }
        let looks = Self.count(&tallies[directory, default: Tally()].looks)
        return looks < Self.firstCheck || looks & (looks - 1) != 0
    }

    private static func count(_ looks: inout Int) -> Int {
        looks += 1
        return looks
    }
}

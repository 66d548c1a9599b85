/// Finds out that a way up a tree goes in a circle, as it can in a damaged one (Brent's algorithm: no memory of the way).
struct CircleGuard {
    private var mark: InodeNumber?
    private var steps = 0
    private var stepsToNextMark = 1

    /// Throws ``CacheError/corrupt(_:)`` at the latest when a circle was gone round three times.
    mutating func passed(_ inode: InodeNumber) throws(CacheError) {
        guard inode != mark else { throw .corrupt("the directories above inode \(inode) form a circle") }
        steps += 1
        guard steps == stepsToNextMark else { return }
        mark = inode
        steps = 0
        stepsToNextMark *= 2
    }
}

import Cache

/// Somebody who reads a directory while it is listed for the first time.
public protocol ListingFollower: AnyObject, Sendable {
    /// Names that the directory did not have before. Inside of the journal's transaction, so that who reads the journal
    /// as well misses none and sees none twice: it must return at once and not use the journal.
    func added(_ names: [Dentry])
    /// What was added is in the journal. Under no lock.
    func gotOn()
}

import Cache

/// Something that changed in the name space without a program of this machine having done it: the kernel's caches and
/// the tables of open inodes have to follow. Reported after the journal's transaction, under no lock.
public enum BucketChange: Equatable, Sendable {
    /// A name leads elsewhere now, or nowhere.
    case name(FileName, in: InodeNumber)
    /// Attributes of an inode are new.
    case attributes(InodeNumber)
    /// An inode lost its last name (its link count is 0); its row stays until the kernel and all handles let go.
    case removed(InodeNumber)
}

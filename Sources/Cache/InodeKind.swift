/// What kind of file an inode is. The raw values are stored in the journal.
public enum InodeKind: Int, Sendable, CaseIterable {
    case file = 1
    case directory = 2
    case symbolicLink = 3
}

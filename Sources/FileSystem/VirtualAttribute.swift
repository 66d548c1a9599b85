import Cache

/// Extended attributes that tell of a file's object. They are neither stored nor listed: `cp -a` would copy them.
enum VirtualAttribute: String {
    /// Of the root: where the mount is spoken to.
    case control = "user.sluice.control"
    /// The key that the object has or will have.
    case key = "user.sluice.key"
    /// Of the object that the file is known to be, also while newer bytes wait.
    case etag = "user.sluice.etag"
    /// A ``BucketState``.
    case state = "user.sluice.state"

    /// No program sets or removes a name that starts so.
    static let prefix = "user.sluice."
}

/// What of an inode is in the bucket, in the words that programs read.
enum BucketState: String {
    /// All of it.
    case clean
    /// Its bytes, the target of a link, or a new directory's marker are not there.
    case dirty
    /// The same, and they are on their way now.
    case uploading
    /// It is there under its former key.
    case moving
    /// Its attributes are not there.
    case updating
    /// It has no name any more, and needs no object.
    case deleted

    init(_ inode: Inode, isUnderWay: Bool) {
        if inode.linkCount == 0 {
            self = .deleted
        } else if inode.number == .root {
            self = .clean
        } else if inode.pending.contains(.content) {
            self = isUnderWay ? .uploading : .dirty
        } else if inode.pending.contains(.location) {
            self = .moving
        } else {
            self = inode.pending.contains(.metadata) ? .updating : .clean
        }
    }
}

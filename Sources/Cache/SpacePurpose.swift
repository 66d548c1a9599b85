/// What bytes come to the disk for, which decides what they may take.
public enum SpacePurpose: Sendable {
    /// By a program: up to the limit, less what is not in the bucket yet. Clean bytes of open files may exceed it.
    case writing
    /// Fetched for a reader, who can do without: never beyond the limit.
    case reading
    /// Fetched because the file cannot be sent without them, which frees space in the end: beyond the limit, but never
    /// the disk's reserve.
    case sending
}

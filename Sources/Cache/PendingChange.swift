/// What of an inode is not yet in the bucket. The raw value is stored in the journal.
public struct PendingChange: OptionSet, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// Its bytes; of a directory made here, its marker object.
    public static let content = PendingChange(rawValue: 1)
    /// Its mode, owner, times or extended attributes.
    public static let metadata = PendingChange(rawValue: 2)
    /// Its name: the object is still at a former key.
    public static let location = PendingChange(rawValue: 4)

    static let all: PendingChange = [.content, .metadata, .location]
}

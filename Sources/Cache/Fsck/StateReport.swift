import ObjectStore

/// What the examination of a state directory found.
public struct StateReport: Equatable, Sendable {
    /// What the journal is good for.
    public enum JournalCondition: Equatable, Sendable {
        case sound
        /// Some of it can be read.
        case damaged
        /// Nothing of it can be read.
        case unreadable
    }

    /// Something that is not as it should be.
    public struct Finding: Equatable, Sendable {
        /// What it is about: a path in the mount, or a name in the state directory.
        public var place: String
        public var text: String
    }

    /// A file, directory or link whose content is not in the bucket.
    public struct Unsent: Equatable, Sendable {
        /// Path in the mount, as in keys; nil if no name leads to it.
        public var path: String?
        public var inode: InodeNumber
        public var kind: InodeKind
        /// Bytes.
        public var size: Int64
        /// Of these, bytes that are not here.
        public var missing: Int64
        /// The object that has what is missing.
        public var remote: ObjectKey?
        public var bytes: Bytes
        public var isPartial: Bool { missing > 0 }
    }

    /// Where the bytes of something unsent are.
    public enum Bytes: Equatable, Sendable {
        /// In a file of the state directory, of which only some ranges count if they are given.
        case file(String, ranges: [Range<Int64>]?)
        case text(String)
        /// There are none, or they are gone.
        case none
    }

    /// A change of which only the name, or the attributes, or the end are not in the bucket.
    public struct Change: Equatable, Sendable {
        public enum Kind: Equatable, Sendable {
            /// The bucket still has it at this key.
            case moved(from: ObjectKey)
            case attributes
            case deleted
        }

        public var path: String
        public var kind: Kind
    }

    /// Data that the journal does not explain.
    public struct Stray: Equatable, Sendable {
        /// In the state directory.
        public var name: String
        /// Bytes.
        public var size: Int64
        /// Where it was in the mount, if a name still leads to it.
        public var path: String?
        /// Only these ranges are local; nil: all.
        public var ranges: [Range<Int64>]?
    }

    public var journal = JournalCondition.sound
    /// The bucket that the directory belongs to, if the journal says so.
    public var source: String?
    public var inodes = 0
    public var dataFiles = 0
    public var unsent: [Unsent] = []
    public var changes: [Change] = []
    public var quarantined: [Stray] = []
    public var strays: [Stray] = []
    public var damage: [Finding] = []
    /// What is unusual and costs nothing.
    public var notes: [Finding] = []

    public init() {}

    /// Whether a person has to look at it. Data that waits for the bucket is no damage.
    public var isDamaged: Bool { !damage.isEmpty || !quarantined.isEmpty || !strays.isEmpty }

    mutating func damaged(_ place: String, _ text: String) { damage.append(Finding(place: place, text: text)) }
    mutating func note(_ place: String, _ text: String) { notes.append(Finding(place: place, text: text)) }
}

/// What kind of file an inode is. The raw values are stored in the journal.
public enum InodeKind: Int, Sendable, CaseIterable {
    case file = 1
    case directory = 2
    case symbolicLink = 3
    case pipe = 4
    case socket = 5
    case characterDevice = 6
    case blockDevice = 7

    /// The S_IFMT bits of `st_mode` (inode(7)).
    public var modeBits: UInt32 {
        switch self {
        case .file: 0o100000
        case .directory: 0o040000
        case .symbolicLink: 0o120000
        case .pipe: 0o010000
        case .socket: 0o140000
        case .characterDevice: 0o020000
        case .blockDevice: 0o060000
        }
    }

    /// Nil for a mode of no kind that Linux has.
    public init?(mode: UInt32) {
        let kind = Self.allCases.first { $0.modeBits == mode & 0o170000 }
        guard let kind else { return nil }
        self = kind
    }

    /// Neither bytes, nor names, nor a target: the kernel opens it by itself.
    public var isSpecial: Bool { self == .pipe || self == .socket || isDevice }

    public var isDevice: Bool { self == .characterDevice || self == .blockDevice }
}

import Platform
import SystemPackage

/// One call of a program, as a value: what a history of a file system is made of. Its description is the Swift source
/// that makes it.
///
/// Paths are relative to the root of the file system. Open files are named by slots that the caller chooses; opening
/// into a slot closes what it held before.
public enum FileSystemCall: Equatable, Sendable {
    case open(Int, String, OpenFlags, Mode)
    case close(Int)
    case read(Int, at: Int64, count: Int)
    case write(Int, at: Int64, String)
    case resize(Int, to: Int64)
    case allocate(Int, at: Int64, length: Int64, Allocation)
    case synchronize(Int, dataOnly: Bool)
    case status(Int)
    case truncate(String, to: Int64)
    case stat(String)
    case makeDirectory(String, Mode)
    case removeDirectory(String)
    case unlink(String)
    case rename(String, to: String, RenameRule)
    /// A further name of what has the first.
    case link(String, to: String)
    case symlink(String, to: String)
    case makeSocket(String, Mode)
    case readLink(String)
    case chmod(String, Mode)
    case chown(String, user: UInt32, group: UInt32)
    case setModified(String, seconds: Int64, nanoseconds: Int64)
    case setAttribute(String, String, to: String, AttributeRule)
    case attribute(String, String)
    case removeAttribute(String, String)
    case attributeNames(String)
    case list(String)
}

/// What a call gave.
public enum CallOutcome: Equatable, Sendable {
    case done
    case failed(Errno)
    case bytes([UInt8])
    case count(Int)
    case names([String])
    case text(String)
    case status(FileStatus)
}

/// Flags of open(2). All opens refuse to follow a symbolic link (O_NOFOLLOW) and to open a directory.
public struct OpenFlags: OptionSet, Sendable, CustomStringConvertible {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    public static let read = OpenFlags(rawValue: 1)
    public static let write = OpenFlags(rawValue: 2)
    public static let create = OpenFlags(rawValue: 4)
    public static let exclusive = OpenFlags(rawValue: 8)
    public static let truncate = OpenFlags(rawValue: 16)
    public static let append = OpenFlags(rawValue: 32)

    private static let names: [(OpenFlags, String)] = [
        (.read, ".read"), (.write, ".write"), (.create, ".create"), (.exclusive, ".exclusive"),
        (.truncate, ".truncate"), (.append, ".append"),
    ]

    public var description: String {
        "[" + Self.names.filter { contains($0.0) }.map(\.1).joined(separator: ", ") + "]"
    }
}

/// The low twelve bits of `st_mode`.
public struct Mode: Hashable, Sendable, ExpressibleByIntegerLiteral, CustomStringConvertible {
    public var bits: UInt16
    public init(_ bits: UInt16) { self.bits = bits }
    public init(integerLiteral bits: UInt16) { self.bits = bits }
    public var description: String { "0o" + String(bits, radix: 8) }
}

/// The flags of renameat2(2).
public enum RenameRule: UInt32, Sendable, CaseIterable, CustomStringConvertible {
    case replace = 0
    case noReplace = 1
    case exchange = 2

    public var description: String {
        switch self {
        case .replace: ".replace"
        case .noReplace: ".noReplace"
        case .exchange: ".exchange"
        }
    }
}

/// The flags of setxattr(2).
public enum AttributeRule: Int32, Sendable, CaseIterable, CustomStringConvertible {
    case createOrReplace = 0
    case create = 1
    case replace = 2

    public var description: String {
        switch self {
        case .createOrReplace: ".createOrReplace"
        case .create: ".create"
        case .replace: ".replace"
        }
    }
}

public enum FileKind: Sendable {
    case file
    case directory
    case link
    case socket
}

/// What stat(2) shows, as far as it is a promise to programs.
public struct FileStatus: Equatable, Sendable {
    public var kind: FileKind
    public var permissions: Mode
    /// Nil where any count is right.
    public var links: Int?
    public var userID: UInt32
    public var groupID: UInt32
    /// Bytes.
    public var size: Int64
    /// Nil where any time is right.
    public var modified: Timestamp?

    public init(
        kind: FileKind, permissions: Mode, links: Int?, userID: UInt32, groupID: UInt32, size: Int64,
        modified: Timestamp?
    ) {
        self.kind = kind
        self.permissions = permissions
        self.links = links
        self.userID = userID
        self.groupID = groupID
        self.size = size
        self.modified = modified
    }
}

extension CallOutcome {
    /// Whether this is what was expected: times count only where they are promised.
    public func meets(_ expected: CallOutcome) -> Bool {
        guard case .status(var mine) = self, case .status(let other) = expected else { return self == expected }
        if other.modified == nil { mine.modified = nil }
        if other.links == nil { mine.links = nil }
        return mine == other
    }
}

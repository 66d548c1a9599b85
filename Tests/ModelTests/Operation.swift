import TestKit

/// One step of a history: what programs, the mount and others do. Its description is the Swift source that makes it.
enum Operation: Equatable, Sendable {
    case call(FileSystemCall)
    /// The whole tree is compared, with every byte.
    case check
    /// Everything goes to the bucket (`sluice sync`), files that are being written as well.
    case drain
    /// Programs close their files, and time passes until everything is in the bucket by itself.
    case settle
    /// Local bytes of what is in the bucket are let go.
    case evict
    /// A clean end, and a mount with the same state directory.
    case remount
    /// The process dies, and a new one mounts with the same state directory.
    case kill
    /// A clean end after everything was sent, and a mount with an empty state directory.
    case forget
    /// When everything is in the bucket, somebody else changes it, and the mount gets to know.
    case others(OthersChange)
    /// When everything is in the bucket, a program and somebody else change it before either knows of the other.
    case race(LocalChange, OthersChange)
}

/// What another client of the bucket does.
enum OthersChange: Equatable, Sendable {
    case put(String, String)
    case delete(String)

    var path: String {
        switch self {
        case .put(let path, _), .delete(let path): path
        }
    }
}

/// What a program does in a race.
enum LocalChange: Equatable, Sendable {
    case write(String, String)
    case unlink(String)
    case chmod(String, Mode)
    case rename(String, to: String)

    /// A slot that no other operation uses.
    private static let slot = 9

    var calls: [FileSystemCall] {
        switch self {
        case .write(let path, let text):
            [
                .open(Self.slot, path, [.write, .create, .truncate], 0o644), .write(Self.slot, at: 0, text),
                .close(Self.slot),
            ]
        case .unlink(let path): [.unlink(path)]
        case .chmod(let path, let mode): [.chmod(path, mode)]
        case .rename(let path, let newPath): [.rename(path, to: newPath, .replace)]
        }
    }
}

extension [Operation] {
    /// As the source of an array literal, an operation a line.
    var source: String { "[\n" + map { "    .\($0.source),\n" }.joined() + "]" }
}

extension Operation {
    fileprivate var source: String {
        switch self {
        case .call(let call): "call(.\(call))"
        case .others(let change): "others(.\(change))"
        case .race(let mine, let theirs): "race(.\(mine), .\(theirs))"
        default: "\(self)"
        }
    }
}

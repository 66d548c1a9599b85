import Platform
import TestKit

/// Makes calls of programs at random. Few names and few directories, so that they collide.
struct CallGenerator {
    var random: SeededRandom
    private let linkTargets: [String]
    /// Each write has a letter of its own, so that bytes tell where they are from.
    private var writes = 0

    private static let paths = ["a", "a", "b", "c", "d", "d/a", "d/a", "d/b", "d/d", "d/d/a", "e", "e/a"]
    private static let directories = ["d", "d", "e", "d/d", "e/d", "a"]
    private static let sizes = [0, 1, 2, 5, 8, 9, 20, 24, 25, 40]

    /// `linksLeaveRoot`: links may lead to where a path leaves the root.
    init(random: SeededRandom, linksLeaveRoot: Bool = true) {
        self.random = random
        linkTargets = ["a", "d", "d/a", "none", "/none/x"] + (linksLeaveRoot ? ["../a", ".."] : [])
    }
}

// MARK: Calls

extension CallGenerator {
    mutating func dataCall() -> FileSystemCall {
        switch Int.random(in: 0..<34, using: &random) {
        case 32..<34:
            .allocate(
                slot(), at: offset(), length: Int64(max(1, pick(Self.sizes))),
                pick([.reserve(keepsSize: false), .reserve(keepsSize: true), .punchHole]))
        case 0..<11: .open(slot(), path(), flags(), pick([0o644, 0o644, 0o600, 0o755]))
        case 11..<15: .close(slot())
        case 15..<23: .write(slot(), at: offset(), text())
        case 23..<26: .read(slot(), at: offset(), count: pick(Self.sizes) + 1)
        case 26..<28: .resize(slot(), to: offset())
        case 28..<30: .truncate(path(), to: offset())
        case 30: synchronize(slot())
        default: .status(slot())
        }
    }

    /// fsync or fdatasync.
    mutating func synchronize(_ slot: Int) -> FileSystemCall { .synchronize(slot, dataOnly: random.oneIn(2)) }

    mutating func nameCall() -> FileSystemCall {
        switch Int.random(in: 0..<30, using: &random) {
        case 26..<29: .link(path(), to: path())
        case 29: .makeSocket(path(), 0o644)
        case 0..<5: .makeDirectory(pick(Self.directories), pick([0o755, 0o700]))
        case 5..<7: .removeDirectory(pick(Self.directories))
        case 7..<11: .unlink(path())
        case 11..<18: .rename(path(), to: path(), pick([.replace, .replace, .replace, .noReplace, .exchange]))
        case 18..<20: .rename(pick(Self.directories), to: pick(Self.directories), pick(RenameRule.allCases))
        case 20..<22: .symlink(path(), to: pick(linkTargets))
        case 22: .readLink(path())
        default: .list(pick(Self.directories + [""]))
        }
    }

    mutating func attributeCall() -> FileSystemCall {
        switch Int.random(in: 0..<16, using: &random) {
        case 0..<4: .chmod(path(), pick([0o600, 0o644, 0o755, 0o4755, 0o6755, 0o2644, 0o2775, 0o1777]))
        case 4: .chown(path(), user: UInt32.random(in: 0..<3, using: &random), group: 7)
        case 5..<8: .setModified(path(), seconds: Int64.random(in: 0..<2_000_000_000, using: &random), nanoseconds: 5)
        case 8..<10: .setAttribute(path(), pick(["user.a", "user.b"]), to: text(), pick(AttributeRule.allCases))
        case 10: .attribute(path(), pick(["user.a", "user.b"]))
        case 11: .removeAttribute(path(), pick(["user.a", "user.b"]))
        case 12: .attributeNames(path())
        default: .stat(path())
        }
    }

    private mutating func flags() -> OpenFlags {
        pick([
            .read, [.read, .write], [.read, .write, .create], [.read, .write, .create],
            [.write, .create, .truncate], [.read, .write, .create, .exclusive], [.write, .create, .append],
            [.read, .write, .append], [.read, .create], [.write],
        ])
    }
}

// MARK: Values

extension CallGenerator {
    mutating func path() -> String { pick(Self.paths) }
    mutating func slot() -> Int { pick([0, 0, 0, 1, 1, 2]) }
    mutating func offset() -> Int64 { Int64(pick([0, 0, 0, 1, 3, 8, 10, 30])) }

    mutating func text() -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz")
        writes += 1
        return String(repeating: letters[writes % letters.count], count: max(1, pick(Self.sizes)))
    }

    mutating func pick<Value>(_ values: [Value]) -> Value {
        values[Int.random(in: 0..<values.count, using: &random)]
    }
}

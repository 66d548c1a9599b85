import Platform
import TestKit

/// Makes a history from a seed: the same one each time. Few names and few directories, so that they collide.
struct HistoryGenerator {
    private var random: SeededRandom
    /// Each write has a letter of its own, so that bytes tell where they are from.
    private var writes = 0

    private static let paths = ["a", "a", "b", "c", "d", "d/a", "d/a", "d/b", "d/d", "d/d/a", "e", "e/a"]
    private static let directories = ["d", "d", "e", "d/d", "e/d", "a"]
    private static let sizes = [0, 1, 2, 5, 8, 9, 20, 24, 25, 40]

    /// `length`: how many operations there are before the final comparisons.
    static func history(seed: UInt64, length: ClosedRange<Int>) -> [Operation] {
        var generator = HistoryGenerator(random: SeededRandom(seed: seed))
        // Short ones find most, and are made and run sooner.
        let count = (0..<2).map { _ in Int.random(in: length, using: &generator.random) }.min() ?? length.lowerBound
        let start: [Operation] = generator.random.oneIn(4) ? [] : [.call(.makeDirectory("d", 0o755))]
        var operations = start
        while operations.count < count { operations += generator.step() }
        return operations + generator.end()
    }

    private mutating func end() -> [Operation] {
        let ends: [[Operation]] = [[], [], [.evict, .check], [.kill, .check], [.forget, .check]]
        return [.check, pick([.drain, .settle])] + pick(ends)
    }

    private mutating func step() -> [Operation] { random.oneIn(10) ? changeOfWhatIsFar() : [operation()] }

    /// A file of which no byte is local is changed in several places.
    private mutating func changeOfWhatIsFar() -> [Operation] {
        let path = path()
        let open: [Operation] = [.drain, .evict, .call(.open(0, path, [.read, .write, .create], 0o644))]
        return open
            + (0..<Int.random(in: 2...4, using: &random)).map { _ in
                switch Int.random(in: 0..<8, using: &random) {
                case 0..<3: .call(.write(0, at: offset(), text()))
                case 3..<6: .call(.resize(0, to: offset()))
                case 6: .call(.allocate(0, at: offset(), length: 8, pick([.punchHole, .reserve(keepsSize: false)])))
                default: pick([.kill, .remount, .drain, .call(.rename(path, to: self.path(), .replace))])
                }
            } + [.check]
    }

    private mutating func operation() -> Operation {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<5: .drain
        case 5..<7: .settle
        case 7..<11: .evict
        case 11..<13: .remount
        case 13..<15: .kill
        case 15: .forget
        case 16: .check
        case 17..<20: .others(othersChange(path()))
        case 20..<22: race()
        case 22..<58: .call(dataCall())
        case 58..<84: .call(nameCall())
        default: .call(attributeCall())
        }
    }
}

// MARK: Calls

extension HistoryGenerator {
    private mutating func dataCall() -> FileSystemCall {
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
        case 30: .synchronize(slot())
        default: .status(slot())
        }
    }

    private mutating func nameCall() -> FileSystemCall {
        switch Int.random(in: 0..<30, using: &random) {
        case 26..<29: .link(path(), to: path())
        case 29: .makeSocket(path(), 0o644)
        case 0..<5: .makeDirectory(pick(Self.directories), pick([0o755, 0o700]))
        case 5..<7: .removeDirectory(pick(Self.directories))
        case 7..<11: .unlink(path())
        case 11..<18: .rename(path(), to: path(), pick([.replace, .replace, .replace, .noReplace, .exchange]))
        case 18..<20: .rename(pick(Self.directories), to: pick(Self.directories), pick(RenameRule.allCases))
        case 20..<22: .symlink(path(), to: pick(["a", "d", "d/a", "../a", "..", "none", "/none/x"]))
        case 22: .readLink(path())
        default: .list(pick(Self.directories + [""]))
        }
    }

    private mutating func attributeCall() -> FileSystemCall {
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

// MARK: Others

extension HistoryGenerator {
    private mutating func othersChange(_ path: String) -> OthersChange {
        random.oneIn(3) ? .delete(path) : .put(path, text())
    }

    private mutating func race() -> Operation {
        let path = path()
        switch Int.random(in: 0..<6, using: &random) {
        case 0..<3: return .race(.write(path, text()), othersChange(path))
        case 3: return .race(.unlink(path), othersChange(path))
        case 4: return .race(.chmod(path, 0o640), othersChange(path))
        default:
            let newPath = self.path()
            return .race(.rename(path, to: newPath), othersChange(newPath))
        }
    }
}

// MARK: Values

extension HistoryGenerator {
    private mutating func path() -> String { pick(Self.paths) }
    private mutating func slot() -> Int { pick([0, 0, 0, 1, 1, 2]) }
    private mutating func offset() -> Int64 { Int64(pick([0, 0, 0, 1, 3, 8, 10, 30])) }

    private mutating func text() -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz")
        writes += 1
        return String(repeating: letters[writes % letters.count], count: max(1, pick(Self.sizes)))
    }

    private mutating func pick<Value>(_ values: [Value]) -> Value {
        values[Int.random(in: 0..<values.count, using: &random)]
    }
}

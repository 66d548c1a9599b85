import Platform
import TestKit

@testable import WorldKit

/// Makes a history from a seed: the same one each time. Few names and few directories, so that they collide.
struct HistoryGenerator {
    private var calls: CallGenerator

    /// `length`: how many operations there are before the final comparisons.
    static func history(seed: UInt64, length: ClosedRange<Int>, for stage: Stage) -> [Operation] {
        var generator = HistoryGenerator(
            calls: CallGenerator(random: SeededRandom(seed: seed), linksLeaveRoot: stage.isClosed))
        // Short ones find most, and are made and run sooner.
        let count =
            (0..<2).map { _ in Int.random(in: length, using: &generator.calls.random) }.min() ?? length.lowerBound
        let start: [Operation] = generator.calls.random.oneIn(4) ? [] : [.call(.makeDirectory("d", 0o755))]
        var operations = start
        while operations.count < count { operations += generator.step() }
        return operations + generator.end()
    }

    private mutating func end() -> [Operation] {
        let ends: [[Operation]] = [[], [], [.evict, .check], [.kill, .check], [.forget, .check]]
        return [.check, calls.pick([.drain, .settle])] + calls.pick(ends)
    }

    private mutating func step() -> [Operation] { calls.random.oneIn(10) ? changeOfWhatIsFar() : [operation()] }

    /// A file of which no byte is local is changed in several places.
    private mutating func changeOfWhatIsFar() -> [Operation] {
        let path = calls.path()
        let open: [Operation] = [.drain, .evict, .call(.open(0, path, [.read, .write, .create], 0o644))]
        return open
            + (0..<Int.random(in: 2...4, using: &calls.random)).map { _ in
                switch Int.random(in: 0..<8, using: &calls.random) {
                case 0..<3: .call(.write(0, at: calls.offset(), calls.text()))
                case 3..<6: .call(.resize(0, to: calls.offset()))
                case 6:
                    .call(
                        .allocate(
                            0, at: calls.offset(), length: 8, calls.pick([.punchHole, .reserve(keepsSize: false)])))
                default: calls.pick([.kill, .remount, .drain, .call(.rename(path, to: calls.path(), .replace))])
                }
            } + [.check]
    }

    private mutating func operation() -> Operation {
        switch Int.random(in: 0..<100, using: &calls.random) {
        case 0..<5: .drain
        case 5..<7: .settle
        case 7..<11: .evict
        case 11..<13: .remount
        case 13..<15: .kill
        case 15: .forget
        case 16: .check
        case 17..<20: .others(othersChange(calls.path()))
        case 20..<22: race()
        case 22..<58: .call(calls.dataCall())
        case 58..<84: .call(calls.nameCall())
        default: .call(calls.attributeCall())
        }
    }
}

// MARK: Others

extension HistoryGenerator {
    private mutating func othersChange(_ path: String) -> OthersChange {
        calls.random.oneIn(3) ? .delete(path) : .put(path, calls.text())
    }

    private mutating func race() -> Operation {
        let path = calls.path()
        switch Int.random(in: 0..<6, using: &calls.random) {
        case 0..<3: return .race(.write(path, calls.text()), othersChange(path))
        case 3: return .race(.unlink(path), othersChange(path))
        case 4: return .race(.chmod(path, 0o640), othersChange(path))
        default:
            let newPath = calls.path()
            return .race(.rename(path, to: newPath), othersChange(newPath))
        }
    }
}

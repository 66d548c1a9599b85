import TestKit

@testable import WorldKit

/// Makes a history with crashes from a seed: the same one each time.
struct CrashGenerator {
    private var calls: CallGenerator

    static func history(seed: UInt64) -> [CrashOperation] {
        var generator = CrashGenerator(calls: CallGenerator(random: SeededRandom(seed: seed)))
        var operations = generator.start()
        for _ in 0..<Int.random(in: 3...9, using: &generator.calls.random) { operations += generator.life() }
        return operations
    }

    private mutating func start() -> [CrashOperation] {
        let directory: [CrashOperation] = calls.random.oneIn(4) ? [] : [.call(.makeDirectory("d", 0o755))]
        return directory + (calls.random.oneIn(2) ? [.faults(oneIn: calls.pick([2, 4, 8]))] : [])
    }

    /// What one process does, up to its death.
    private mutating func life() -> [CrashOperation] {
        var operations: [CrashOperation] = []
        let count = Int.random(in: 1...14, using: &calls.random)
        // The death comes somewhere in the last few of them.
        let last = Int.random(in: 0...min(4, count), using: &calls.random)
        for _ in 0..<count - last { operations.append(operation()) }
        operations.append(crash())
        for _ in 0..<last { operations.append(operation()) }
        return operations
    }

    private mutating func crash() -> CrashOperation {
        let again = (0..<calls.pick([0, 1, 2, 4, 6])).map { _ in
            CrashOperation.Again(calls: Int.random(in: 0...calls.pick([3, 10, 30]), using: &calls.random), end: end())
        }
        let count = Int.random(in: 0...calls.pick([2, 10, 40]), using: &calls.random)
        return .crash(after: count, end(), again: again)
    }

    private mutating func end() -> CrashEnd {
        calls.pick([.kill, .powerCut(oneIn: 2), .powerCut(oneIn: 2), .powerCut(oneIn: 1000), .powerCut(oneIn: 1)])
    }

    private mutating func operation() -> CrashOperation {
        switch Int.random(in: 0..<100, using: &calls.random) {
        case 0..<10: .flush
        case 10..<26: .pass(milliseconds: calls.pick([0, 200, 1500, 4000, 40_000]))
        case 26..<29: .urge
        case 29..<32: .evict
        case 32: .faults(oneIn: calls.pick([0, 2, 5]))
        case 33..<73: .call(dataCall())
        case 73..<92: .call(nameCall())
        default: .call(attributeCall())
        }
    }

    /// Syncs are what makes promises; bytes of a file are what they are about.
    private mutating func dataCall() -> FileSystemCall {
        calls.random.oneIn(6) ? .synchronize(calls.slot()) : calls.dataCall()
    }

    private mutating func nameCall() -> FileSystemCall { calls.nameCall() }

    /// What two steps take away (set-id bits) is not promised to go in one.
    private mutating func attributeCall() -> FileSystemCall {
        switch calls.attributeCall() {
        case .chmod(let path, let mode): .chmod(path, Mode(mode.bits & 0o777))
        case let call: call
        }
    }
}

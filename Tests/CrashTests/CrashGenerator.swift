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
        for _ in 0..<Int.random(in: 0...10, using: &calls.random) {
            operations += calls.random.oneIn(5) ? promise() : [operation()]
        }
        // The death comes somewhere in the last few of them.
        let last = Int.random(in: 0...min(4, operations.count), using: &calls.random)
        operations.insert(crash(), at: operations.count - last)
        return operations
    }

    /// A file is written, new or as it is in the bucket, and mostly a promise is made for its bytes: by chance alone
    /// the calls that this needs seldom meet.
    private mutating func promise() -> [CrashOperation] {
        let (slot, path) = (calls.slot(), calls.path())
        var operations = write(path, slot)
        if calls.random.oneIn(2) {
            operations += [.call(.close(slot)), .pass(milliseconds: calls.pick([4000, 40_000]))]
            operations += write(path, slot)
        }
        switch Int.random(in: 0..<5, using: &calls.random) {
        case 0..<2: operations.append(.call(calls.synchronize(slot)))
        case 2: operations.append(.flush)
        case 3: operations += [.call(.close(slot)), .flush]
        default: break
        }
        return operations
    }

    private mutating func write(_ path: String, _ slot: Int) -> [CrashOperation] {
        // Files that are first opened to be read and written never go past the daemon.
        let flags: OpenFlags = calls.random.oneIn(4) ? [.read, .write, .create] : [.write, .create]
        let writes = (0..<calls.pick([1, 1, 2, 3])).map { _ in
            CrashOperation.call(.write(slot, at: calls.offset(), calls.text()))
        }
        return [.call(.open(slot, path, flags, 0o644))] + writes
    }

    private mutating func crash() -> CrashOperation {
        let again = (0..<calls.pick([0, 0, 1, 2, 5])).map { _ in
            CrashOperation.Again(calls: Int.random(in: 0...calls.pick([3, 10, 30]), using: &calls.random), end: end())
        }
        let count = Int.random(in: 0...calls.pick([2, 10, 40]), using: &calls.random)
        return .crash(after: count, end(), again: again)
    }

    private mutating func end() -> CrashEnd {
        calls.pick([
            .kill, .powerCut(oneIn: 2), .powerCut(oneIn: 2), .powerCut(oneIn: 1000), .powerCut(oneIn: 1000),
            .powerCut(oneIn: 1),
        ])
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
        calls.random.oneIn(6) ? calls.synchronize(calls.slot()) : calls.dataCall()
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

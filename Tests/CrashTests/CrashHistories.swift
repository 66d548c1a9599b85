import Foundation
import TestKit

/// Runs the histories of many seeds, and makes a short one of the first that fails.
///
/// From the command line: `SLUICE_CRASH_SEED` is the first seed, `SLUICE_CRASH_COUNT` how many crashes there are to be,
/// as in `SLUICE_CRASH_SEED=7 SLUICE_CRASH_COUNT=1000000 scripts/test --swift --filter CrashTests`. A seed without a
/// count runs its history alone. Under `swift test` itself, `SWIFT_DETERMINISTIC_HASHING=1` makes it repeatable.
struct CrashHistories {
    struct Failure {
        var seed: UInt64
        var history: [CrashOperation]
        var failure: CrashRunner.Failure
    }

    struct Sum {
        var histories = 0
        var crashes = 0
        var crashedStarts = 0
        var failure: Failure?
    }

    var first: UInt64
    var crashes: Int
    private let template: SimulatedDisk

    private static let concurrency = 2
    private static let shrinkLimit = 1000

    /// What the environment says, else so many crashes.
    init(crashes: Int, in environment: [String: String] = ProcessInfo.processInfo.environment) async throws {
        let seed = environment["SLUICE_CRASH_SEED"].flatMap { UInt64($0) }
        let count = environment["SLUICE_CRASH_COUNT"].flatMap { Int($0) }
        first = seed ?? 1
        self.crashes = count ?? (seed == nil ? crashes : 1)
        template = try await CrashRunner.template()
    }

    /// Ends with the first failure, shrunk.
    func run() async throws -> Sum {
        var sum = Sum()
        var next = first
        try await withThrowingTaskGroup(of: (UInt64, CrashRunner.Outcome).self) { group in
            for _ in 0..<(crashes == 1 ? 1 : Self.concurrency) {
                group.addTask { [next] in (next, try await outcome(of: next)) }
                next += 1
            }
            while let (seed, outcome) = try await group.next() {
                sum.histories += 1
                sum.crashes += outcome.crashes
                sum.crashedStarts += outcome.crashedStarts
                if let failure = outcome.failure {
                    sum.failure = try await shrink(seed, failure)
                    return
                }
                guard sum.crashes < crashes else { continue }
                group.addTask { [next] in (next, try await self.outcome(of: next)) }
                next += 1
            }
        }
        return sum
    }

    private func outcome(of seed: UInt64) async throws -> CrashRunner.Outcome {
        try await CrashRunner.outcome(of: CrashGenerator.history(seed: seed), seed: seed, template: template)
    }

    private func shrink(_ seed: UInt64, _ failure: CrashRunner.Failure) async throws -> Failure {
        var smallest = Failure(
            seed: seed, history: Array(CrashGenerator.history(seed: seed).prefix(failure.step + 1)), failure: failure)
        var budget = Self.shrinkLimit
        var size = smallest.history.count / 2
        while size >= 1 {
            var start = 0
            while start < smallest.history.count, budget > 0 {
                budget -= 1
                var candidate = smallest.history
                candidate.removeSubrange(start..<min(start + size, candidate.count))
                if let failure = try await fails(candidate, seed) {
                    smallest.history = Array(candidate.prefix(failure.step + 1))
                    smallest.failure = failure
                } else {
                    start += size
                }
            }
            size /= 2
        }
        return smallest
    }

    private func fails(_ history: [CrashOperation], _ seed: UInt64) async throws -> CrashRunner.Failure? {
        try await CrashRunner.outcome(of: history, seed: seed, template: template).failure
    }
}

extension CrashHistories.Failure: CustomStringConvertible {
    var description: String {
        "seed \(seed) (SWIFT_DETERMINISTIC_HASHING=1 SLUICE_CRASH_SEED=\(seed)): \(failure)\nThe shortest history found that fails with it:\n"
            + history.source
    }
}

import Foundation
import TestKit

@testable import WorldKit

/// Runs the histories of many seeds, and makes a short one of the first that fails.
///
/// From the command line: `SLUICE_MODEL_SEED` is the first seed, `SLUICE_MODEL_COUNT` how many follow from it,
/// `SLUICE_MODEL_LENGTH` the most operations in each, as in
/// `SLUICE_MODEL_SEED=7 SLUICE_MODEL_COUNT=1000000 swift test --filter ModelTests`.
struct Histories {
    struct Failure {
        var seed: UInt64
        var history: [Operation]
        var failure: HistoryRunner.Failure
    }

    var stage: Stage
    var seeds: Range<UInt64>
    var length: ClosedRange<Int>

    /// Histories run at once; they wait for each other's locks and for the disk now and then.
    private static let concurrency = 4
    /// Which background task runs when differs from run to run: a history that fails now and then is asked this often.
    private static let tries = 6
    /// How many smaller histories are tried.
    private static let shrinkLimit = 1500

    /// What the environment says, else `count` histories.
    init(_ stage: Stage, count: UInt64, in environment: [String: String] = ProcessInfo.processInfo.environment) {
        func number(_ name: String) -> UInt64? { environment["SLUICE_MODEL_\(name)"].flatMap { UInt64($0) } }
        self.stage = stage
        let first = number("SEED") ?? 1
        seeds = first..<first + (number("COUNT") ?? (number("SEED") == nil ? count : 1))
        length = 5...max(5, Int(number("LENGTH") ?? 40))
    }

    /// The first failure, shrunk; nil if there is none.
    func firstFailure() async throws -> Failure? {
        guard let found = try await search() else { return nil }
        return try await shrink(found)
    }

    private func search() async throws -> Failure? {
        try await withThrowingTaskGroup(of: Failure?.self) { group in
            var left = seeds.makeIterator()
            func startNext() {
                guard let seed = left.next() else { return }
                group.addTask { try await run(seed) }
            }
            for _ in 0..<Self.concurrency { startNext() }
            while let failure = try await group.next() {
                if let failure { return failure }
                startNext()
            }
            return nil
        }
    }

    private func run(_ seed: UInt64) async throws -> Failure? {
        let history = HistoryGenerator.history(seed: seed, length: length, for: stage)
        guard let failure = try await HistoryRunner.failure(of: history, on: stage) else { return nil }
        return Failure(seed: seed, history: history, failure: failure)
    }

    private func shrink(_ found: Failure) async throws -> Failure {
        var smallest = found
        var budget = Self.shrinkLimit
        var isSmaller = true
        while isSmaller {
            isSmaller = false
            for candidate in Shrinker.candidates(smallest.history) where budget > 0 {
                budget -= 1
                guard let failure = try await fails(candidate) else { continue }
                smallest.history = Array(candidate.prefix(failure.step + 1))
                smallest.failure = failure
                isSmaller = true
                break
            }
        }
        return smallest
    }

    private func fails(_ history: [Operation]) async throws -> HistoryRunner.Failure? {
        for _ in 0..<Self.tries {
            let failure = try await HistoryRunner.failure(of: history, on: stage, patience: .seconds(2))
            if let failure { return failure }
        }
        return nil
    }
}

extension Histories.Failure: CustomStringConvertible {
    var description: String {
        "seed \(seed): \(failure)\nThe shortest history that fails, to be run by HistoryRunner.failure(of:on:):\n"
            + history.source
    }
}

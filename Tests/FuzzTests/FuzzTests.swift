import Foundation
import Platform
import Testing

/// What comes from outside, mangled: nothing that a server, a bucket, a file or another process sends ends the daemon,
/// takes its memory, or names a path outside of the mount.
///
/// A short run has the same inputs each time. A long one goes on for as long as it is told, with other seeds:
/// `SLUICE_FUZZ_SECONDS=600 swift test --filter FuzzTests`; `SLUICE_FUZZ_SEED=N` for the seed that a failure names,
/// `SLUICE_FUZZ_TARGET=NAME` for one target alone.
@Suite(.serialized) struct FuzzTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let targets =
        (XMLTargets.all + HeaderTargets.all + NameTargets.all + CredentialsTargets.all + SettingsTargets.all
        + JournalTargets.all).filter { environment["SLUICE_FUZZ_TARGET"].map($0.name.hasPrefix) ?? true }
    /// Bytes; the largest input is 64 KiB.
    private static let memoryLimit = 1 << 30

    @Test(arguments: targets) func whateverComesIsParsedOrRefused(_ target: FuzzTarget) throws {
        let first = Self.environment["SLUICE_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
        guard let seconds = Self.environment["SLUICE_FUZZ_SECONDS"].flatMap({ Double($0) }) else {
            try target.run(seed: first) { $0 >= target.count }
            return
        }
        let end = SystemTime().monotonic + .seconds(seconds / Double(Self.targets.count))
        var seed = first
        repeat {
            try target.run(seed: seed) { $0 >= target.count || SystemTime().monotonic >= end }
            seed += 1
        } while SystemTime().monotonic < end
        print("fuzz: \(target.name): \(Int(seed - first) * target.count) inputs at most, seeds \(first) to \(seed - 1)")
        try require(peakMemory() < Self.memoryLimit, "the process took \(peakMemory()) bytes")
    }

    /// VmHWM of proc(5).
    private func peakMemory() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return (line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0) << 10
    }
}

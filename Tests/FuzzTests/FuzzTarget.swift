import Foundation
import TestKit
import Testing

/// Something that parses outside input, and what must hold of it whatever comes.
struct FuzzTarget: Sendable, CustomTestStringConvertible {
    /// What a check throws that found a breach.
    struct Breach: Error, CustomStringConvertible {
        var description: String
    }

    /// For files that are checked; the same for all inputs of a run, as making directories costs more than checking.
    @TaskLocal static var scratch: TemporaryDirectory?

    /// Also the folder of its seeds in `Tests/Fixtures/Fuzz`.
    let name: String
    /// Words of its language.
    var words: [String] = []
    /// How many inputs a short run tries: fewer where each costs much.
    var count = 2000
    /// Must return, or throw a ``Breach``; anything else that it throws is a breach too.
    let check: @Sendable ([UInt8]) throws -> Void

    var testDescription: String { name }

    /// The committed inputs from which others are made.
    func seeds() throws -> [[UInt8]] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/Fuzz/\(name)")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return try files.sorted { $0.path < $1.path }.map { [UInt8](try Data(contentsOf: $0)) }
    }

    /// Throws the first breach, with all that repeats it.
    func run(seed: UInt64, until isEnough: (Int) -> Bool) throws {
        try Self.$scratch.withValue(try TemporaryDirectory()) { try runInScratch(seed: seed, until: isEnough) }
    }

    private func runInScratch(seed: UInt64, until isEnough: (Int) -> Bool) throws {
        let seeds = try seeds()
        guard !seeds.isEmpty else { throw Breach(description: "\(name) has no seeds") }
        let mutator = Mutator(seeds: seeds, words: words)
        var index = 0
        while !isEnough(index) {
            // Each input has a seed of its own, so that it comes again however many came before.
            var random = SeededRandom(seed: seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15)
            let input = index < seeds.count ? seeds[index] : mutator.input(&random)
            LastInput.note(input, of: name, seed: seed, index: index)
            do { try check(input) } catch {
                throw Breach(description: "\(error)\n\(Self.repetition(name, seed, index, input))")
            }
            index += 1
        }
    }

    private static func repetition(_ name: String, _ seed: UInt64, _ index: Int, _ input: [UInt8]) -> String {
        let hex = input.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return """
            target \(name), input \(index) of SLUICE_FUZZ_SEED=\(seed), \(input.count) bytes
            base64 \(Data(input).base64EncodedString())
            hex \(hex)
            """
    }
}

func require(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    if !condition { throw FuzzTarget.Breach(description: what()) }
}

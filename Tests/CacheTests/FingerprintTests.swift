import Platform
import TestKit
import Testing

@testable import Cache

@Suite struct FingerprintTests {
    private let fixture: CacheFixture
    private let block = BlockChecksums.blockSize

    init() throws { fixture = try CacheFixture() }

    private func sent(_ bytes: [UInt8], from start: Int64, inPiecesOf count: Int) -> Fingerprint {
        let maker = FingerprintMaker(from: start)
        for piece in stride(from: 0, to: bytes.count, by: count) {
            Array(bytes[piece..<min(bytes.count, piece + count)]).withUnsafeBytes { maker.update($0) }
        }
        return maker.finish()
    }

    @Test(arguments: [1, 1000, 262_144, 1 << 20])
    func whatPassedIsWhatTheFileHas(_ count: Int) throws {
        let size = 3 * block + 77
        var random = SeededRandom(seed: 1)
        let bytes = (0..<size).map { _ in UInt8.random(in: 32...126, using: &random) }
        let file = try fixture.cache.acquire(fixture.makeFile("a"))
        try file.write(String(decoding: bytes, as: UTF8.self), at: 0)
        for range in [0..<size, 0..<block, block..<3 * block, 3 * block..<size, 5..<block + 9, 8..<16] {
            let part = Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
            #expect(file.fingerprint(of: range) == sent(part, from: range.lowerBound, inPiecesOf: count))
        }
    }

    @Test(arguments: [false, true])
    func aChangedByteShows(_ isLearned: Bool) throws {
        let size = 2 * block
        let file = try fixture.cache.acquire(fixture.makeFile("a"))
        try file.write(String(repeating: "7", count: Int(size)), at: 0)
        let maker = FingerprintMaker(from: 0)
        [UInt8](repeating: UInt8(ascii: "7"), count: Int(size)).withUnsafeBytes { maker.update($0) }
        let before = maker.finish()
        if isLearned { file.learnChecksums(maker, since: file.version.rewrites) }
        #expect(file.fingerprint(of: 0..<size) == before)
        try file.write("8", at: size - 1)
        #expect(file.fingerprint(of: 0..<size) != before)
        try file.write("7", at: size - 1)
        #expect(file.fingerprint(of: 0..<size) == before)
    }

    @Test func whatWasSentIsNotReadAgain() throws {
        let file = try fixture.cache.acquire(fixture.makeFile("a"))
        try file.write(String(repeating: "7", count: Int(block)), at: 0)
        let maker = FingerprintMaker(from: 0)
        [UInt8](repeating: UInt8(ascii: "7"), count: Int(block)).withUnsafeBytes { maker.update($0) }
        let before = maker.finish()
        file.learnChecksums(maker, since: file.version.rewrites)
        // Behind the file's back: only who reads the disk can see it.
        try file.file.write([9], at: 0)
        #expect(file.fingerprint(of: 0..<block) == before)
    }
}

import TestKit

/// Makes inputs from seeds: flips, cuts, repeats, splices, and words of the target's language. All of it follows from
/// the seed.
struct Mutator {
    private static let longest = 64 << 10
    /// Numbers at which arithmetic breaks.
    private static let numbers = [
        "0", "-1", "1", "127", "128", "255", "256", "65536", "2147483647", "2147483648", "4294967296",
        "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
        "18446744073709551615", "1e308", "1e-308", "nan", "inf", "0x7f", "00", "٣",
    ]
    /// Text at which names break.
    private static let names = [
        "..", ".", "/", "//", "../", "/../", "\0", "\n", "\r\n", "%00", "%2e%2e%2f", "%", "+", "\u{201B}", "\u{201B}2F",
        "\u{FEFF}", "\u{202E}", "e\u{301}", "\u{1F600}", "\"", "'", "\\", "&amp;", "&#0;", "<", ">", "{", "}", "[", "]",
    ]

    let seeds: [[UInt8]]
    let words: [[UInt8]]

    init(seeds: [[UInt8]], words: [String]) {
        self.seeds = seeds.isEmpty ? [[]] : seeds
        self.words = (words + Self.numbers + Self.names).map { Array($0.utf8) }
    }

    func input(_ random: inout SeededRandom) -> [UInt8] {
        var bytes = pick(seeds, &random)
        // Most inputs stay near a seed, as what is far from it is refused at once.
        for _ in 0..<(1 << Int.random(in: 0...5, using: &random)) { change(&bytes, &random) }
        return Array(bytes.prefix(Self.longest))
    }

    private func change(_ bytes: inout [UInt8], _ random: inout SeededRandom) {
        let range = piece(of: bytes, &random)
        switch Int.random(in: 0..<9, using: &random) {
        case 0: if !bytes.isEmpty { bytes[place(in: bytes, &random)] ^= 1 << UInt8.random(in: 0...7, using: &random) }
        case 1: if !bytes.isEmpty { bytes[place(in: bytes, &random)] = UInt8.random(in: 0...255, using: &random) }
        case 2: bytes.removeSubrange(range)
        case 3: bytes.insert(contentsOf: bytes[range], at: range.upperBound)
        case 4: bytes.replaceSubrange(range, with: pick(words, &random))
        case 5: bytes.insert(contentsOf: pick(words, &random), at: range.lowerBound)
        case 6: bytes.insert(contentsOf: random.bytes(Int.random(in: 1...9, using: &random)), at: range.lowerBound)
        case 7: bytes.removeLast(bytes.count - range.lowerBound)
        default:
            let other = pick(seeds, &random)
            bytes.replaceSubrange(range, with: other[piece(of: other, &random)])
        }
    }

    private func pick(_ choices: [[UInt8]], _ random: inout SeededRandom) -> [UInt8] {
        choices[Int.random(in: 0..<choices.count, using: &random)]
    }

    private func place(in bytes: [UInt8], _ random: inout SeededRandom) -> Int {
        Int.random(in: 0..<bytes.count, using: &random)
    }

    /// Short ones are likelier.
    private func piece(of bytes: [UInt8], _ random: inout SeededRandom) -> Range<Int> {
        let start = Int.random(in: 0...bytes.count, using: &random)
        let limit = random.oneIn(4) ? bytes.count - start : min(8, bytes.count - start)
        return start..<start + Int.random(in: 0...limit, using: &random)
    }
}

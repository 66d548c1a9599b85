import Cache
import TestKit
import Testing

@Suite struct ByteTextTests {
    @Test(arguments: [
        ("plain \u{E4}\u{1F916}", Array("plain \u{E4}\u{1F916}".utf8)),
        ("a\u{201B}FFb", [0x61, 0xFF, 0x62]),
        ("\u{201B}C3", [0xC3]),
        ("\u{201B}C3(", [0xC3, 0x28]),
        // A quote that stands for itself is doubled only where it would be read as something else.
        ("\u{201B}quoted\u{201B}", Array("\u{201B}quoted\u{201B}".utf8)),
        ("\u{201B}\u{201B}FF", Array("\u{201B}FF".utf8)),
        ("\u{201B}7F", Array("\u{201B}7F".utf8)),
        ("\u{201B}\u{201B}\u{201B}", Array("\u{201B}\u{201B}".utf8)),
        ("\u{201B}\u{201B}\u{201B}FE", Array("\u{201B}".utf8) + [0xFE]),
    ])
    func bytesAndTextsOfEachOther(text: String, bytes: [UInt8]) {
        #expect(ByteText.encode(bytes) == text)
        #expect(ByteText.decode(text) == bytes)
        #expect(ByteText.isCanonical(text))
    }

    @Test(arguments: ["\u{201B}C3\u{201B}A4", "\u{201B}\u{201B}", "\u{201B}\u{201B}x"])
    func textsOfNoBytesAreKnown(text: String) {
        #expect(!ByteText.isCanonical(text))
        #expect(FileName(text) == nil)
    }

    @Test func everyBytesComeBackAndNoTwoShareAText() {
        var random = SeededRandom(seed: 1)
        let alphabet: [[UInt8]] = [
            [0xE2, 0x80, 0x9B], [0x46], [0x38], [0xFF], [0x80], [0xC3, 0xA4], [0xC3], [0xE2], [0x61],
        ]
        var texts: [String: [UInt8]] = [:]
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 1...7, using: &random)).flatMap { _ in
                alphabet.randomElement(using: &random) ?? []
            }
            let text = ByteText.encode(bytes)
            #expect(ByteText.decode(text) == bytes)
            #expect(ByteText.isCanonical(text))
            #expect(texts.updateValue(bytes, forKey: text).map { $0 == bytes } ?? true)
        }
    }

    @Test func aNameHas255BytesWhateverItsTextTakes() {
        #expect(FileName(bytes: [UInt8](repeating: 0xFF, count: 255))?.string.utf8.count == 255 * 5)
        #expect(FileName(bytes: [UInt8](repeating: 0xFF, count: 256)) == nil)
        #expect(FileName(bytes: [UInt8](repeating: 0x61, count: 256)) == nil)
    }
}

import TestKit
import Testing

@testable import ObjectStore

@Suite struct DirectoryLayoutTests {
    @Test func plainKeysAreTheirOwnPaths() {
        #expect(DirectoryLayout.plainPath(ObjectKey("a/b.c")) == .init(components: ["a", "b.c"], isMarker: false))
        #expect(DirectoryLayout.plainPath(ObjectKey("a/b/")) == .init(components: ["a", "b"], isMarker: true))
        #expect(DirectoryLayout.plainPath(ObjectKey("...")) == .init(components: ["..."], isMarker: false))
    }

    @Test(arguments: [
        "", "/", "//", "a//b", "/a", "a//", ".", "..", "a/..", "../a", "a/./b", ".sluice-store", ".sluice-store/x",
        ".sluice-store/", String(repeating: "x", count: 256),
    ])
    func otherKeysHaveNoPath(key: String) {
        #expect(DirectoryLayout.plainPath(ObjectKey(key)) == nil)
    }

    @Test func escapedPathsAreAsDocumented() {
        #expect(DirectoryLayout.escapedPath(ObjectKey("a//b")) == ["a", "%e", "b%o"])
        #expect(DirectoryLayout.escapedPath(ObjectKey("../x y/")) == ["%2E%2E", "x%20y", "%o"])
        let long = String(repeating: "n", count: 40)
        #expect(DirectoryLayout.escapedPath(ObjectKey(long)) == [long + "%c", "%o"])
        #expect(DirectoryLayout.escapedPath(ObjectKey(long + "n/x")) == [long + "%c", "n", "x%o"])
    }

    @Test(arguments: 0..<10 as Range<UInt64>)
    func escapedPathsLeadBackToTheirKeysAndAreNames(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let alphabet: [String] = ["/", "/", ".", "%", "a", "é", "😀", "\u{1}", " ", "o", "c", "e", "-"]
        for _ in 0..<200 {
            let count = Int.random(in: 1...120, using: &random)
            let key = (0..<count).compactMap { _ in alphabet.randomElement(using: &random) }.joined()
            let path = DirectoryLayout.escapedPath(ObjectKey(key))
            var bytes: [UInt8] = []
            for name in path {
                #expect(name.utf8.count <= DirectoryLayout.longestName && !name.isEmpty && !name.contains("/"))
                guard let piece = DirectoryLayout.piece(of: name) else {
                    Issue.record("\(name) does not lead back")
                    return
                }
                bytes += piece.bytes + (piece.kind == .directory ? [UInt8(ascii: "/")] : [])
            }
            #expect(bytes == Array(key.utf8))
        }
    }

    @Test(arguments: ["%zz", "%2e", "a b", "%41", "x%", ".", "é", "a%o%o"])
    func namesThatTheEscapeDoesNotMakeAreNoPieces(name: String) {
        #expect(DirectoryLayout.piece(of: name) == nil)
    }

    @Test func recordsLeadBackToThemselves() {
        let record = ObjectRecord(
            etag: ETag("abc-3"), size: 12, modified: -5,
            metadata: ["mode": "33188", "odd=name": "a=b%\n\r\u{7F} é", "empty": ""])
        #expect(ObjectRecord(encoded: record.encoded) == record)
    }

    @Test func damagedRecordsAreNone() {
        let record = ObjectRecord(etag: ETag("e"), size: 1, modified: 2, metadata: ["a": "b"]).encoded
        #expect(ObjectRecord(encoded: []) == nil)
        #expect(ObjectRecord(encoded: Array(record.dropFirst())) == nil)
        #expect(ObjectRecord(encoded: Array(record.prefix(20))) == nil)
        #expect(ObjectRecord(encoded: record + Array("future x\n".utf8)) == nil)
        #expect(ObjectRecord(encoded: record + [0xFF]) == nil)
    }
}

import Cache
import ObjectStore

@testable import S3

/// Keys and names: none of a bucket's may become a path that leads elsewhere.
enum NameTargets {
    static let all = [keys, names, lists]

    private static let words = ["a", "b/c", "‛", "‛‛", "‛2F", "‛00", "%E2%80%9B", "a\u{0301}", "\u{FFFD}"]

    private static let keys = FuzzTarget(name: "keys", words: words) { input in
        try checkName(String(decoding: input, as: UTF8.self))
        let decoded = input.withUnsafeBytes { PercentEncoding.decodeListing($0) }
        try checkName(decoded)
        let again = Array(PercentEncoding.query(decoded).utf8).withUnsafeBytes { PercentEncoding.decodeListing($0) }
        try require(again == decoded, "\(decoded) becomes \(again)")
    }

    /// Each component of a key, and the key as one.
    static func checkName(_ key: String) throws {
        for component in key.split(separator: "/", omittingEmptySubsequences: false) + [key[...]] {
            guard let name = FileName(String(component)) else { continue }
            let bytes = ByteText.decode(name.string)
            try require((1...FileName.maximumLength).contains(bytes.count), "a name of \(bytes.count) bytes")
            try require(!bytes.contains(0) && !bytes.contains(UInt8(ascii: "/")), "a name that is a path: \(bytes)")
            try require(bytes != Array(".".utf8) && bytes != Array("..".utf8), "a name that leads elsewhere")
            try require(FileName(bytes: bytes) == name, "\(name) is not the name of its bytes")
        }
    }

    /// Names of programs, which may be any bytes.
    private static let names = FuzzTarget(name: "names", words: words) { input in
        try require(ByteText.decode(ByteText.encode(input)) == input, "the bytes do not come back")
        guard let name = FileName(bytes: input) else { return }
        try require(ByteText.decode(name.string) == input, "\(name) is of other bytes")
        try checkName(name.string)
    }

    private static let lists = FuzzTarget(
        name: "etags", words: ["\"", "W/", "&quot;", "d41d8cd98f00b204e9800998ecf8427e", "-2"]
    ) { input in
        let etag = ETag(header: input)
        try require(
            ETag(header: etag.quoted) == etag || etag.value.utf8.contains(UInt8(ascii: "\"")),
            "\(etag.quoted) is another")
    }
}

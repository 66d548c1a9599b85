/// Which keys a page of a listing is about: prefix, delimiter, and where the page before ended. Pure, by bytes.
struct ListingScope {
    private static let slash = UInt8(ascii: "/")

    let prefix: [UInt8]
    let delimiter: [UInt8]
    /// The last key or common prefix of the page before.
    private let after: [UInt8]?
    /// Whether `after` is a common prefix, all of whose keys were told.
    private let afterIsGroup: Bool

    /// `continuation` as ``continuation(after:isGroup:)`` made it.
    init(prefix: String, delimiter: String?, continuation: String?) throws(StoreError) {
        self.prefix = Array(prefix.utf8)
        self.delimiter = Array((delimiter ?? "").utf8)
        let token = continuation.map { Array($0.utf8) }
        afterIsGroup = token?.first == UInt8(ascii: "p")
        after = token.map { Array($0.dropFirst()) }
        guard token == nil || afterIsGroup || token?.first == UInt8(ascii: "k") else {
            throw StoreError(.refused, code: "InvalidArgument", message: "the continuation token is not ours")
        }
    }

    static func continuation(after bytes: [UInt8], isGroup: Bool) -> String {
        (isGroup ? "p" : "k") + String(decoding: bytes, as: UTF8.self)
    }

    /// The components before the last `/` of the prefix.
    var deepestDirectory: [ArraySlice<UInt8>] {
        startKey.split(separator: Self.slash, omittingEmptySubsequences: false).dropLast()
    }

    /// The prefix up to its last `/`.
    var startKey: [UInt8] {
        prefix.lastIndex(of: Self.slash).map { Array(prefix[...$0]) } ?? []
    }

    func wants(key: [UInt8]) -> Bool {
        guard key.starts(with: prefix) else { return false }
        guard let after else { return true }
        return after.lexicographicallyPrecedes(key) && !(afterIsGroup && key.starts(with: after))
    }

    /// Whether keys that start with `subtree` can be wanted.
    func mayHold(subtree: [UInt8]) -> Bool {
        guard subtree.starts(with: prefix) || prefix.starts(with: subtree) else { return false }
        guard let after else { return true }
        if afterIsGroup && subtree.starts(with: after) { return false }
        return after.lexicographicallyPrecedes(subtree) || after.starts(with: subtree)
    }

    /// The common prefix that a key folds into.
    func group(of key: [UInt8]) -> [UInt8]? {
        guard !delimiter.isEmpty else { return nil }
        var position = prefix.count
        while position + delimiter.count <= key.count {
            let end = position + delimiter.count
            if key[position..<end].elementsEqual(delimiter) { return Array(key[..<end]) }
            position += 1
        }
        return nil
    }

    /// Whether all keys that start with `subtree` (which ends in `/`) fold into it.
    func folds(subtree: [UInt8]) -> Bool {
        delimiter == [Self.slash] && subtree.count > prefix.count && subtree.starts(with: prefix)
            && group(of: subtree) == subtree
    }
}

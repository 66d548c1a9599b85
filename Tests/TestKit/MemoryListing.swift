import ObjectStore

/// Folds keys that come in ascending order into one page of a listing, as ListObjectsV2 does. The continuation is
/// the last key or common prefix of the page before.
struct MemoryListing {
    let prefix: String
    let delimiter: String?
    let after: String?
    let limit: Int
    private(set) var page = ListPage(objects: [], commonPrefixes: [], continuation: nil)
    private var last: String?

    init(prefix: String, delimiter: String?, after: String?, limit: Int) {
        self.prefix = prefix
        self.delimiter = delimiter
        self.after = after
        self.limit = min(max(limit, 1), 1000)
    }

    /// False when the page is full and there is more.
    mutating func add(_ info: ObjectInfo) -> Bool {
        guard info.key.hasPrefix(prefix) else { return true }
        let group = commonPrefix(of: info.key)
        let entry = group ?? info.key.string
        if let after, !(ObjectKey(after) < ObjectKey(entry)) { return true }
        if let group, page.commonPrefixes.last.map(ObjectKey.init) == ObjectKey(group) { return true }
        guard page.objects.count + page.commonPrefixes.count < limit else {
            page.continuation = last
            return false
        }
        last = entry
        if let group {
            page.commonPrefixes.append(group)
        } else {
            var listed = info
            listed.metadata = [:]
            page.objects.append(listed)
        }
        return true
    }

    private func commonPrefix(of key: ObjectKey) -> String? {
        guard let delimiter, !delimiter.isEmpty else { return nil }
        let bytes = Array(key.string.utf8)
        let pattern = Array(delimiter.utf8)
        var position = prefix.utf8.count
        while position + pattern.count <= bytes.count {
            let end = position + pattern.count
            if bytes[position..<end].elementsEqual(pattern) { return String(decoding: bytes[..<end], as: UTF8.self) }
            position += 1
        }
        return nil
    }
}

/// Makes one page of a listing out of the two trees of a ``DirectoryStore``.
struct DirectoryListing {
    private let objects: DirectoryObjects
    private let scope: ListingScope
    private let limit: Int
    private var page = ListPage(objects: [], commonPrefixes: [], continuation: nil)
    private var last: (bytes: [UInt8], isGroup: Bool)?

    init(_ objects: DirectoryObjects, scope: ListingScope, limit: Int) {
        self.objects = objects
        self.scope = scope
        self.limit = min(max(limit, 1), 1000)
    }

    mutating func makePage(_ cancellation: Cancellation) throws(StoreError) -> ListPage {
        let objects = objects
        let isMarked = { (directory: Descriptor, path: [String]) throws(SystemFault) in
            try objects.records.isMarked(directory, path: path)
        }
        let scope = scope
        var plain = try performing { () throws(SystemFault) in
            try TreeCursor(objects.tree, .plain, scope, isMarker: isMarked)
        }
        var escaped = try performing { () throws(SystemFault) in
            try TreeCursor(objects.tree, .escaped, scope, isMarker: isMarked)
        }
        var nextPlain = try performing { () throws(SystemFault) in try plain.next() }
        var nextEscaped = try performing { () throws(SystemFault) in try escaped.next() }
        while nextPlain != nil || nextEscaped != nil {
            try cancellation.check()
            let isPlain = Self.precedes(nextPlain, nextEscaped)
            guard let item = isPlain ? nextPlain : nextEscaped else { break }
            guard try performing({ () throws(SystemFault) in try add(item) }) else { return page }
            // An object under its escaped name hides one at the same path.
            let hides = !isPlain && nextPlain?.sortKey == item.sortKey
            if isPlain || hides { nextPlain = try performing { () throws(SystemFault) in try plain.next() } }
            if !isPlain { nextEscaped = try performing { () throws(SystemFault) in try escaped.next() } }
        }
        return page
    }

    private static func precedes(_ plain: TreeCursor.Item?, _ escaped: TreeCursor.Item?) -> Bool {
        guard let plain else { return false }
        guard let escaped else { return true }
        return plain.sortKey.lexicographicallyPrecedes(escaped.sortKey)
    }

    /// False when the page is full and there is more.
    private mutating func add(_ item: TreeCursor.Item) throws(SystemFault) -> Bool {
        let group = scope.group(of: item.sortKey)
        if case .folded = item, group == nil { return true }
        if let group, last?.isGroup == true, last?.bytes == group { return true }
        let info = group == nil ? try describe(item) : nil
        guard group != nil || info != nil else { return true }
        guard page.objects.count + page.commonPrefixes.count < limit else {
            page.continuation = last.map { ListingScope.continuation(after: $0.bytes, isGroup: $0.isGroup) }
            return false
        }
        if let group {
            page.commonPrefixes.append(String(decoding: group, as: UTF8.self))
        } else if var info {
            info.metadata = [:]
            page.objects.append(info)
        }
        last = (group ?? item.sortKey, group != nil)
        return true
    }

    /// Nil for what is gone since its directory was read.
    private func describe(_ item: TreeCursor.Item) throws(SystemFault) -> ObjectInfo? {
        let key = ObjectKey(String(decoding: item.sortKey, as: UTF8.self))
        switch item {
        case .folded: return nil
        case .object(_, let path):
            guard let (file, status) = try objects.tree.file(path) else { return nil }
            return try objects.describe(file, status, key).info
        case .marker(_, let path):
            do {
                return try objects.describeMarker(try objects.tree.directory(path), key) { true }?.info
            } catch let error where error.meansAbsent {
                return nil
            }
        }
    }
}

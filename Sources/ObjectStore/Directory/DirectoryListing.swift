/// Makes the pages of a listing out of the two trees of a ``DirectoryStore``, one after the other.
struct DirectoryListing: Sendable {
    private let objects: DirectoryObjects
    private let scope: ListingScope
    private var plain: TreeCursor
    private var escaped: TreeCursor
    private var nextPlain: TreeCursor.Item?
    private var nextEscaped: TreeCursor.Item?
    private var last: (bytes: [UInt8], isGroup: Bool)?

    /// `now`: nanoseconds since 1970.
    init(_ objects: DirectoryObjects, scope: ListingScope, now: Int64) throws(SystemFault) {
        self.objects = objects
        self.scope = scope
        let isMarked = { @Sendable (directory: Descriptor, path: [String]) throws(SystemFault) in
            try objects.records.isMarked(directory, path: path)
        }
        plain = try TreeCursor(objects.tree, .plain, scope, now: now, isMarker: isMarked)
        escaped = try TreeCursor(objects.tree, .escaped, scope, now: now, isMarker: isMarked)
        nextPlain = try plain.next()
        nextEscaped = try escaped.next()
    }

    /// Whether the next page may go on here rather than look again.
    func isCurrent() throws(SystemFault) -> Bool {
        let isPlainCurrent = try plain.isCurrent()
        return isPlainCurrent ? try escaped.isCurrent() : false
    }

    mutating func makePage(limit: Int, _ cancellation: Cancellation) throws(StoreError) -> ListPage {
        var page = ListPage(objects: [], commonPrefixes: [], continuation: nil)
        while nextPlain != nil || nextEscaped != nil {
            try cancellation.check()
            let isPlain = Self.precedes(nextPlain, nextEscaped)
            guard let item = isPlain ? nextPlain : nextEscaped,
                try performing({ () throws(SystemFault) in try add(item, to: &page, limit) })
            else { break }
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
    private mutating func add(
        _ item: TreeCursor.Item, to page: inout ListPage, _ limit: Int
    ) throws(SystemFault) -> Bool {
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

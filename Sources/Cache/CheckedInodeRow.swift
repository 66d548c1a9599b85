import ObjectStore

/// The columns of one row of the inode table, each held to what a row of this program can have.
struct CheckedInodeRow {
    let row: JournalRow

    func damage(_ column: Int) -> CacheError {
        .corrupt("the row of inode \(row[0] as Int64) is damaged (\(Inode.columns[column]))")
    }

    func integer(_ column: Int, _ allowed: ClosedRange<Int64> = Int64.min...Int64.max) throws(CacheError) -> Int64 {
        guard let value = row.integer(column), allowed.contains(value) else { throw damage(column) }
        return value
    }

    func text(_ column: Int) throws(CacheError) -> String? {
        try row.text(column) { damage(column) }
    }

    func remote(key: Int, etag: Int, size: Int) throws(CacheError) -> RemoteObject? {
        switch (try text(key), try text(etag)) {
        case (nil, nil): return nil
        case (let key?, let etag?):
            return RemoteObject(key: ObjectKey(key), etag: ETag(etag), size: try integer(size, 0...Int64.max))
        default: throw damage(etag)
        }
    }

    func attempt(key: Int, token: Int) throws(CacheError) -> Inode.Attempt? {
        switch (try text(key), try text(token)) {
        case (nil, nil): return nil
        case (let key?, let token?): return Inode.Attempt(key: ObjectKey(key), token: token)
        default: throw damage(token)
        }
    }

    func alias(_ column: Int, of number: Int64) throws(CacheError) -> InodeNumber? {
        guard (row[column] as Int64?) != nil else { return nil }
        let target = try integer(column, 1...Int64.max)
        guard target != number else { throw damage(column) }
        return InodeNumber(sql: target)
    }
}

import Platform

// MARK: Attributes of the object

extension FileCache {
    /// An object told the attributes of a file: `commit` writes them into the journal and calls nothing else; it returns
    /// the time of modification that the row had, and the one that it has now. A file that was not changed here has that
    /// time as well, also if it is open.
    public func learn(
        _ number: InodeNumber, commit: () throws -> (former: Timestamp, now: Timestamp)?
    ) throws {
        try table.withLock { table in
            guard let (former, now) = try commit() else { return }
            table.open[number]?.file.learn(former: former, now: now)
            guard let end = table.unsettled[number], !end.isDirty, end.modified == former else { return }
            table.unsettled[number]?.modified = now
        }
    }
}

extension CachedFile {
    fileprivate func learn(former: Timestamp, now: Timestamp) {
        state.withLock { state in
            if !state.isDirty, state.modified == former { state.modified = now }
        }
    }
}

import Synchronization

/// Rows of the inode table in memory, so that attributes are told without asking the database.
///
/// Holds committed rows only. What a transaction changes is noted by SQLite itself (its update hook) and published when
/// it has committed, before the next one begins; so a row taken from here is that of a moment during the call.
///
/// Thread rule: any thread may read; the rest belongs to the transaction that runs. A leaf lock.
final class InodeRows: Sendable {
    /// Rows kept: some 10 MB.
    private static let limit = 16_384

    private struct State {
        /// Used lately; when it is half of the limit, it becomes `older`, and what was older is forgotten.
        var newer: [InodeNumber: Inode] = [:]
        var older: [InodeNumber: Inode] = [:]
        /// Changed by the transaction under way.
        var changed: Set<InodeNumber> = []
        /// Of these, rows as they are now; of the others, only the database knows.
        var written: [InodeNumber: Inode] = [:]

        mutating func keep(_ inode: Inode) {
            if newer.count >= InodeRows.limit / 2 {
                older = newer
                newer = Dictionary(minimumCapacity: InodeRows.limit / 2)
            }
            newer[inode.number] = inode
        }

        mutating func forget(_ number: InodeNumber) {
            newer[number] = nil
            older[number] = nil
        }
    }

    private let state = Mutex(State())

    /// The row as it was last committed; nil if it is not kept.
    func committed(_ number: InodeNumber) -> Inode? {
        state.withLock { state in
            if let inode = state.newer[number] { return inode }
            guard let inode = state.older[number] else { return nil }
            state.keep(inode)
            return inode
        }
    }

    /// The row as the transaction under way sees it; nil if the database has to be asked.
    func current(_ number: InodeNumber) -> Inode? {
        let (isChanged, written) = state.withLock { ($0.changed.contains(number), $0.written[number]) }
        return isChanged ? written : committed(number)
    }

    /// What the transaction under way read from the database.
    func wasRead(_ inode: Inode) {
        state.withLock { state in
            if state.changed.contains(inode.number) {
                state.written[inode.number] = inode
            } else {
                state.keep(inode)
            }
        }
    }

    /// The transaction under way wrote the row; told after the database was.
    func wasWritten(_ inode: Inode) {
        state.withLock { state in
            state.changed.insert(inode.number)
            state.written[inode.number] = inode
        }
    }

    /// The database changed the row, however that came about.
    func hasChanged(_ number: InodeNumber) {
        state.withLock { state in
            state.changed.insert(number)
            if !state.written.isEmpty { state.written[number] = nil }
        }
    }

    func commit() {
        state.withLock { state in
            for number in state.changed { state.forget(number) }
            for inode in state.written.values { state.keep(inode) }
            state.changed.removeAll(keepingCapacity: state.changed.count < 64)
            state.written.removeAll(keepingCapacity: state.written.count < 64)
        }
    }

    func rollBack() {
        state.withLock { state in
            state.changed = []
            state.written = [:]
        }
    }
}

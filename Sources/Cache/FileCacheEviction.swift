import Platform
import SystemPackage

// MARK: Space

extension FileCache {
    /// Space is looked at again after this many bytes: 64 MiB, less under a small limit, of which one look must not let
    /// go everything.
    private var budgetStep: Int64 { min(64 << 20, max(1 << 20, limits.limit / 16)) }

    /// Bytes on the disk now.
    public func usage() throws -> CacheUsage {
        let (closed, open) = table.withLock { ($0.closedBytes, $0.open.values.map(\.file)) }
        let sizes = open.map { (isDirty: $0.isDirty, bytes: $0.allocatedBytes, number: $0.inode) }
        let closedDirty = try journal.read { transaction in
            // Rows of open files say what they took when last closed.
            let stale = try sizes.reduce(Int64(0)) { sum, file in
                guard let inode = try transaction.inode(file.number), inode.pending.contains(.content) else {
                    return sum
                }
                return sum + inode.localBytes
            }
            return try transaction.dirtyBytes() - stale
        }
        return CacheUsage(
            used: closed + sizes.reduce(0) { $0 + $1.bytes },
            dirty: closedDirty + sizes.reduce(0) { $0 + ($1.isDirty ? $1.bytes : 0) },
            limit: limits.limit)
    }

    /// Admits `count` bytes more, after making room if need be. Throws ``CacheError/noSpace``. What is fetched is expected
    /// from then on, until ``arrived(_:)``.
    ///
    /// Space is measured every 64 MiB at the latest; the reserve must be larger than that for it to hold.
    public func admit(_ count: Int64, for purpose: SpacePurpose = .writing) throws {
        guard purpose == .sending || count <= limits.limit else { throw CacheError.noSpace }
        if !budget.spend(count, for: purpose) { try measure(count, for: purpose) }
        if purpose != .writing { expected.add(count, ordering: .relaxed) }
    }

    /// `count` bytes that were admitted for fetching have come, or do not come any more.
    public func arrived(_ count: Int64) {
        expected.subtract(count, ordering: .relaxed)
    }

    private func measure(_ count: Int64, for purpose: SpacePurpose) throws {
        let coming = count + expected.load(ordering: .relaxed) + budgetStep
        let excess = try usage().used + coming - limits.limit
        let shortage = try coming - (diskSpace().available - limits.reserve)
        if max(excess, shortage) > 0 { try evict(atLeast: max(excess, shortage)) }
        let room = try room(for: purpose).bytes
        guard room >= count else {
            budget.grant(0, for: purpose)
            throw CacheError.noSpace
        }
        budget.grant(min(room - count, budgetStep), for: purpose)
    }

    /// Whether so many bytes would find room if everything else were in the bucket.
    public func couldHold(_ count: Int64) throws -> Bool {
        try count <= limits.limit && count <= diskSpace().total - limits.reserve
    }

    /// Bytes that may come now without anything being evicted, and whether it is the limit or the disk that says so.
    public func room(for purpose: SpacePurpose) throws -> (bytes: Int64, isByLimit: Bool) {
        let usage = try usage()
        let expected = expected.load(ordering: .relaxed)
        let byDisk = try diskSpace().available - limits.reserve - expected
        let byLimit =
            switch purpose {
            case .writing: limits.limit - usage.dirty
            case .reading: limits.limit - usage.used - expected
            case .sending: Int64.max
            }
        return (min(byDisk, byLimit), byLimit < byDisk)
    }

    /// What `statfs` tells programs: bytes that may be written before ENOSPC, and the size this is measured in.
    public func writableSpace() throws -> (total: Int64, available: Int64) {
        let usage = try usage()
        let space = try diskSpace()
        let clean = max(0, usage.used - usage.dirty)
        let byDisk = space.available - limits.reserve + clean
        let byLimit = limits.limit - usage.dirty
        return (min(limits.limit, space.total), max(0, min(byDisk, byLimit)))
    }

    /// Keeps to the limit and leaves the disk its reserve.
    func evictOverLimit() throws {
        let excess = max(try usage().used - limits.limit, limits.reserve - (try diskSpace().available))
        if excess > 0 { try evict(atLeast: excess) }
    }

    private func diskSpace() throws(CacheError) -> DiskSpace {
        do {
            return try disk.space()
        } catch {
            throw .system(error, during: "asking for the space of the state directory")
        }
    }
}

// MARK: Eviction

extension FileCache {
    /// Lets go of clean files that are not open, least recently used first, until `bytes` are free.
    func evict(atLeast bytes: Int64) throws {
        try closeIdle()
        var freed: Int64 = 0
        var batch: Int64
        repeat {
            batch = 0
            var evicted: [InodeNumber] = []
            for candidate in try journal.read({ try $0.evictable(limit: 1000) }) where freed + batch < bytes {
                guard let count = try giveUp(candidate.number) else { continue }
                evicted.append(candidate.number)
                batch += count
            }
            try removeEvicted(evicted)
            freed += batch
        } while batch > 0 && freed < bytes
        if freed > 0 { logger.info("evicted", metadata: ["bytes": "\(freed)"]) }
    }

    /// Bytes that the data file takes, which the journal gives up; nil if it is in use or not wholly in the bucket.
    private func giveUp(_ number: InodeNumber) throws -> Int64? {
        try table.withLock { table in
            guard table.open[number] == nil else { return nil }
            let freed = try journal.write { transaction -> Int64? in
                guard var inode = try transaction.inode(number), inode.local != .none, inode.pending.isEmpty,
                    inode.remote != nil
                else { return nil }
                let bytes = inode.localBytes
                inode.local = .none
                inode.localBytes = 0
                try transaction.update(inode)
                return bytes
            }
            guard let freed else { return nil }
            table.checked.remove(number)
            table.closedBytes -= table.unsettled.removeValue(forKey: number)?.allocated ?? freed
            return freed
        }
    }

    /// Once it is durable that the journal has given them up: before, a power cut could bring back rows that say that the
    /// bytes are here and nowhere else.
    private func removeEvicted(_ numbers: [InodeNumber]) throws {
        guard !numbers.isEmpty else { return }
        try journal.synchronize()
        for number in numbers {
            try table.withLock { table in
                // Opened again, it has a new data file.
                guard table.open[number] == nil, let row = try journal.inode(number), row.local == .none else { return }
                try removeData(of: number)
                removals.add(number)
            }
        }
    }
}

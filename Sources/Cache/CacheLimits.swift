/// How much of the disk the cache may take.
public struct CacheLimits: Equatable, Sendable {
    /// Bytes of all data files together. Clean ones are evicted beyond it; writing fails with ENOSPC when dirty ones
    /// alone reach it.
    public var limit: Int64
    /// Bytes of the disk that stay free for others. Writing fails with ENOSPC rather than take them.
    public var reserve: Int64

    public init(limit: Int64, reserve: Int64) {
        self.limit = limit
        self.reserve = reserve
    }
}

/// What the cache takes, bytes.
public struct CacheUsage: Equatable, Sendable {
    public var used: Int64
    /// Not in the bucket yet: never evicted.
    public var dirty: Int64
    public var limit: Int64

    public init(used: Int64, dirty: Int64, limit: Int64) {
        self.used = used
        self.dirty = dirty
        self.limit = limit
    }
}

import Cache
import SystemPackage

/// What keeps bytes from being written, in words for people.
public enum SpaceShortage: String, Sendable {
    case limit = "what is not in the bucket yet has reached cache_limit"
    case disk = "the disk of the state directory has no more than cache_reserve left"

    /// Asks the disk. Throws ``CacheError``.
    init(of cache: FileCache) throws {
        self = try cache.room(for: .writing).isByLimit ? .limit : .disk
    }
}

/// Writers for whom there is no room now.
public struct WaitingWriters: Equatable, Sendable {
    public var writers: Int
    /// Of the one that has waited longest.
    public var longest: Duration
    public var reason: SpaceShortage
}

extension FileSystem {
    /// Nil while nobody waits.
    public var waiting: WaitingWriters? {
        get throws {
            guard let status = space.status else { return nil }
            return WaitingWriters(
                writers: status.count, longest: status.longest, reason: try SpaceShortage(of: cache))
        }
    }
}

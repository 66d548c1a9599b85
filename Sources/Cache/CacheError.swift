import SystemPackage

/// Why the local store could not do its work.
public enum CacheError: Error, Equatable, Sendable {
    /// A system call on the state directory failed.
    case system(Errno, during: String)
    /// The state directory cannot be used; the sentence says why and what to do.
    case unusable(String)
    /// What is on the disk cannot be true; the sentence names it.
    case corrupt(String)
    /// No space that writing may take: the disk's reserve or the cache limit is reached.
    case noSpace
}

extension CacheError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .system(let errno, let action): "\(action): \(errno)"
        case .unusable(let reason): reason
        case .corrupt(let what): "state directory: \(what)"
        case .noSpace: "no space left for unsent data"
        }
    }
}

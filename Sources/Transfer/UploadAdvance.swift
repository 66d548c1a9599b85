import Cache

/// When the bucket last came nearer to what is on this machine: decides what of the bytes that go out is progress.
///
/// Bytes that are sent again and again to a store that never takes them are none: of a file, only those count that
/// come further than any attempt before.
struct UploadAdvance: Equatable, Sendable {
    /// By the monotonic clock.
    private(set) var last = Duration.zero
    /// Of files that are not in the bucket: how many bytes an attempt sent at most.
    private var furthest: [InodeNumber: Int64] = [:]

    /// `done`: bytes of this attempt until now.
    mutating func sent(_ done: Int64, of inode: InodeNumber, at now: Duration) {
        guard done > furthest[inode] ?? 0 else { return }
        furthest[inode] = done
        last = now
    }

    /// The store has what the inode needed.
    mutating func settled(_ inode: InodeNumber, at now: Duration) {
        furthest[inode] = nil
        last = now
    }
}

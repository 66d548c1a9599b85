import Cache
import SystemPackage

/// A change of a file's bytes that waits for space, with all it needs to be made later.
struct WaitingChange: Sendable {
    /// Gives the answer to what was made, or failed for another reason than room.
    typealias Answer = @Sendable () -> Void

    /// In the order of arrival.
    let number: UInt64
    let inode: InodeNumber
    /// Bytes that it may add to the disk.
    let count: Int64
    /// Bytes in memory that wait with it.
    let held: Int
    /// By the monotonic clock.
    let since: Duration
    /// Nil if there is no room.
    let attempt: @Sendable () -> Answer?
    let refuse: @Sendable (Errno) -> Void
}

import Cache

/// Which of the files that are open for writing have something to send: those that grew by a part, and those that lie
/// still.
struct GrowthWatch: Sendable {
    struct Look: Equatable, Sendable {
        var inode: InodeNumber
        /// Bytes.
        var size: Int64
        /// By the monotonic clock.
        var changed: Duration
    }

    private struct Seen {
        var next: Int64
        /// The last change of a file that lay still and was found due.
        var idleSince: Duration?
    }

    private let firstSize: Int64
    private let idleDelay: Duration
    private var seen: [InodeNumber: Seen] = [:]

    /// - Parameters:
    ///   - firstSize: files that are not larger go in one request, after their close.
    ///   - idleDelay: for how long a file must not have been written to that lies still.
    init(firstSize: Int64, idleDelay: Duration) {
        self.firstSize = firstSize
        self.idleDelay = idleDelay
    }

    /// `looks`: all files that are open for writing and changed. A file is due once each time that it comes to lie still.
    mutating func due(_ looks: [Look], at now: Duration) -> [InodeNumber] {
        var open: [InodeNumber: Seen] = [:]
        var due: [InodeNumber] = []
        for look in looks {
            var file = seen[look.inode] ?? Seen(next: firstSize)
            let isIdle = now - look.changed >= idleDelay && file.idleSince != look.changed
            if isIdle { file.idleSince = look.changed }
            if isIdle || look.size > file.next { due.append(look.inode) }
            open[look.inode] = file
        }
        seen = open
        return due
    }

    /// What was full of a file is sent; more is when it is larger than `size`.
    mutating func sent(_ inode: InodeNumber, next size: Int64) { seen[inode]?.next = size }
}

import Cache
import Platform

/// Which inode is brought up next, and when: after a delay, after a back-off, or at once.
///
/// Wishes for one inode coalesce; an inode is worked on by one worker at a time. Holds one entry for each inode with
/// something pending.
struct UploadQueue: Sendable {
    enum Next: Equatable {
        case start(InodeNumber, isUrgent: Bool)
        /// Nothing is due; nil: nothing at all, or all workers are busy.
        case wait(until: Duration?)
    }

    private struct Entry {
        var ready: Duration
        var isUrgent: Bool
        /// Whether it waits for the end of a back-off, and so comes before nobody.
        var isPutOff = false
        var backoff: Backoff?
        /// Told when an entry of the heap is out of date.
        var ticket: UInt64
    }

    private struct Running {
        var isUrgent: Bool
        /// A wish that came while the inode was worked on.
        var again: Entry?
        var backoff: Backoff?
    }

    let concurrency: Int
    var isPaused = false
    private var waiting: [InodeNumber: Entry] = [:]
    private var running: [InodeNumber: Running] = [:]
    private var heap = MinimumHeap<Ticket>()
    private var lastTicket: UInt64 = 0

    private struct Ticket: Comparable {
        var isUrgent: Bool
        var ready: Duration
        var number: UInt64
        var inode: InodeNumber

        static func < (left: Ticket, right: Ticket) -> Bool {
            if left.isUrgent != right.isUrgent { return left.isUrgent }
            return (left.ready, left.number) < (right.ready, right.number)
        }
    }

    /// `concurrency`: inodes worked on at once.
    init(concurrency: Int) {
        self.concurrency = max(1, concurrency)
    }

    var isIdle: Bool { waiting.isEmpty && running.isEmpty }
    var runningCount: Int { running.count }
    var waitingCount: Int { waiting.count }

    /// Wishes that `inode` is looked at from `ready` on. A later wish replaces the moment of an earlier one, but for
    /// an inode in back-off, which waits on unless the wish is urgent.
    mutating func schedule(_ inode: InodeNumber, at ready: Duration, isUrgent: Bool = false) {
        if running[inode] != nil {
            let urgent = isUrgent || running[inode]?.again?.isUrgent == true
            running[inode]?.again = Entry(ready: ready, isUrgent: urgent, backoff: nil, ticket: 0)
            return
        }
        if let entry = waiting[inode], !isUrgent, entry.isUrgent || entry.backoff != nil { return }
        insert(inode, Entry(ready: ready, isUrgent: isUrgent, backoff: waiting[inode]?.backoff, ticket: 0))
    }

    /// The next inode that is due; it counts as running until ``finished(_:)`` or ``failed(_:at:using:)``.
    mutating func next(at now: Duration) -> Next {
        guard !isPaused, running.count < concurrency else { return .wait(until: nil) }
        while let ticket = heap.first {
            guard let entry = waiting[ticket.inode], entry.ticket == ticket.number else {
                _ = heap.removeFirst()
                continue
            }
            guard entry.ready <= now else { return .wait(until: entry.ready) }
            _ = heap.removeFirst()
            waiting[ticket.inode] = nil
            running[ticket.inode] = Running(isUrgent: entry.isUrgent, again: nil, backoff: entry.backoff)
            return .start(ticket.inode, isUrgent: entry.isUrgent)
        }
        return .wait(until: nil)
    }

    /// The work on an inode ended well; a wish that came meanwhile is taken up.
    mutating func finished(_ inode: InodeNumber) {
        guard let again = running.removeValue(forKey: inode)?.again else { return }
        insert(inode, again)
    }

    /// The work failed and is taken up after a back-off between the bounds; returns the wait. Who waited for it waits on.
    @discardableResult
    mutating func failed(
        _ inode: InodeNumber,
        at now: Duration,
        atLeast: Duration = .zero,
        atMost: Duration = .seconds(3600),
        using random: inout some RandomNumberGenerator
    ) -> Duration {
        let run = running.removeValue(forKey: inode)
        if let again = run?.again, again.isUrgent {
            insert(inode, again)
            return .zero
        }
        var backoff = run?.backoff ?? Backoff()
        let wait = max(atLeast, min(atMost, backoff.next(using: &random)))
        let isUrgent = run?.isUrgent == true
        insert(inode, Entry(ready: now + wait, isUrgent: isUrgent, isPutOff: true, backoff: backoff, ticket: 0))
        return wait
    }

    /// The work cannot go on before `ready`, without anything having failed.
    mutating func postponed(_ inode: InodeNumber, until ready: Duration) {
        let again = running.removeValue(forKey: inode)?.again
        insert(inode, again ?? Entry(ready: ready, isUrgent: false, backoff: nil, ticket: 0))
    }

    /// The link is back: nobody waits for a back-off any more.
    mutating func wakeAll(at now: Duration) {
        for (inode, entry) in waiting where entry.backoff != nil {
            insert(inode, Entry(ready: now, isUrgent: entry.isUrgent, backoff: nil, ticket: 0))
        }
        for inode in running.keys { running[inode]?.backoff = nil }
    }

    /// The inode is gone. Work under way on it ends by itself.
    mutating func forget(_ inode: InodeNumber) {
        waiting[inode] = nil
        running[inode]?.again = nil
    }

    private mutating func insert(_ inode: InodeNumber, _ entry: Entry) {
        lastTicket += 1
        var entry = entry
        entry.ticket = lastTicket
        waiting[inode] = entry
        heap.insert(ticket(of: entry, inode))
        if heap.count > 64 + 4 * waiting.count { compact() }
    }

    private func ticket(of entry: Entry, _ inode: InodeNumber) -> Ticket {
        Ticket(
            isUrgent: entry.isUrgent && !entry.isPutOff, ready: entry.ready, number: entry.ticket, inode: inode)
    }

    /// Drops outdated tickets before they outnumber the rest.
    private mutating func compact() {
        heap = MinimumHeap()
        for (inode, entry) in waiting {
            heap.insert(ticket(of: entry, inode))
        }
    }
}

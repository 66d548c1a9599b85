import Cache
import Logging
import Platform
import Synchronization

/// Tells people that writing failed for want of space: in `status` and in the log, but not once for each write.
final class FullDiskEvents: Sendable {
    /// A recorder that goes on writing is told of this often.
    private static let pause = Duration.seconds(600)

    private let cache: FileCache
    private let limit: Duration
    private let time: any TimeSource
    private let logger: Logger
    private let last = Mutex<Duration?>(nil)

    /// `limit`: how long writers waited.
    init(cache: FileCache, limit: Duration, time: any TimeSource, logger: Logger) {
        self.cache = cache
        self.limit = limit
        self.time = time
        self.logger = logger
    }

    /// A change of an inode's bytes got ENOSPC.
    func refused(_ inode: InodeNumber) {
        let now = time.monotonic
        let isNews = last.withLock { last in
            if let moment = last, now - moment < Self.pause { return false }
            last = now
            return true
        }
        if isNews { record(inode) }
    }

    private func record(_ inode: InodeNumber) {
        do {
            let path = try cache.journal.read { try $0.path(of: inode) } ?? "inode \(inode)"
            let message = "writing failed with ENOSPC: \(try SpaceShortage(of: cache).rawValue)\(waited)"
            logger.error("no space for a write", metadata: ["path": "\(path)", "reason": "\(message)"])
            let event = JournalEvent(kind: .error, path: path, message: message, time: time.wall)
            try cache.journal.write { try $0.record(event) }
        } catch {
            logger.error("recording that a disk is full failed", metadata: ["error": "\(error)"])
        }
    }

    private var waited: String {
        limit > .zero ? ", and nothing was uploaded for full_wait (\(limit / .seconds(1)) s)" : ""
    }
}

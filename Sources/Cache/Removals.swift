import Platform
import Synchronization
import SystemPackage

/// Data files whose removal a power cut could undo, as far as it matters: one that is made anew before that is durable
/// could come together with the range log of the old one, which tells of bytes that the new one does not have.
///
/// Thread rule: any thread; an inode's files are removed and made by one thread at a time.
final class Removals: Sendable {
    private struct State {
        var numbers: Set<InodeNumber> = []
        /// Of these, the ones whose directories are being synced.
        var settling: Set<InodeNumber> = []
        var shards: Set<String> = []
    }

    /// So many are kept in memory before their directories are synced for their sake.
    private static let limit = 1000

    private let disk: any Disk
    private let state = Mutex(State())

    init(on disk: any Disk) { self.disk = disk }

    /// The files of an inode were removed.
    func add(_ number: InodeNumber) {
        state.withLock { _ = $0.numbers.insert(number) }
    }

    /// A former process, or the recovery, may have removed something in a directory.
    func add(shard: String) {
        state.withLock { _ = $0.shards.insert(shard) }
    }

    /// To be called before a data file is made where another may have been. `isReplaced`: one certainly was.
    func settle(_ number: InodeNumber, isReplaced: Bool) throws(Errno) {
        let shard = FileCache.shardName(number)
        let isConcerned = state.withLock {
            $0.numbers.contains(number) || $0.settling.contains(number) || $0.shards.contains(shard)
        }
        guard isReplaced || isConcerned else { return }
        try disk.synchronizeDirectory(shard)
        state.withLock { state in
            state.numbers.remove(number)
            state.shards.remove(shard)
        }
    }

    /// The work of the flush timer, when there are many.
    func settleMany() throws(Errno) {
        let numbers = state.withLock { state in
            guard state.numbers.count > Self.limit else { return state.settling }
            state.settling.formUnion(state.numbers)
            state.numbers = []
            return state.settling
        }
        for shard in Set(numbers.map(FileCache.shardName)) { try disk.synchronizeDirectory(shard) }
        state.withLock { $0.settling = [] }
    }
}

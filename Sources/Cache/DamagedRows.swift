import Synchronization

/// Inodes whose rows cannot be read: passed over where many are read, and told of once.
///
/// Thread rule: any thread, also inside of a journal transaction. A leaf lock.
final class DamagedRows: Sendable {
    /// Beyond this many, no further ones are told of.
    private static let limit = 1000

    private struct State {
        var known: Set<InodeNumber> = []
        var news: [(inode: InodeNumber, damage: String)] = []
    }

    private let state = Mutex(State())

    func note(_ inode: InodeNumber, _ damage: String) {
        state.withLock { state in
            guard state.known.count < Self.limit, state.known.insert(inode).inserted else { return }
            state.news.append((inode, damage))
        }
    }

    /// What was noted since the last call.
    func takeNews() -> [(inode: InodeNumber, damage: String)] {
        state.withLock { state in
            defer { state.news = [] }
            return state.news
        }
    }
}

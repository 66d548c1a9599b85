import Synchronization

/// Keeps listings between their pages, so that a directory with a million names is read once and not for each page.
///
/// A few at most: the oldest goes, and its next page looks again.
final class PausedListings: Sendable {
    /// Compared by bytes, as keys are.
    struct Request: Equatable {
        private let words: [[UInt8]]

        init(prefix: String, delimiter: String?, continuation: String) {
            words = [prefix, delimiter ?? "", continuation].map { Array($0.utf8) }
        }
    }

    private static let capacity = 4

    private let paused = Mutex<[(request: Request, listing: DirectoryListing)]>([])

    func keep(_ listing: DirectoryListing, for request: Request) {
        paused.withLock { paused in
            paused.removeAll { $0.request == request }
            if paused.count == Self.capacity { paused.removeFirst() }
            paused.append((request, listing))
        }
    }

    /// The listing that goes on with this page, if it is here; it is no more then.
    func take(_ request: Request) -> DirectoryListing? {
        paused.withLock { paused in
            guard let index = paused.firstIndex(where: { $0.request == request }) else { return nil }
            return paused.remove(at: index).listing
        }
    }
}

import Cache
import ObjectStore
import Synchronization
import Transfer

/// An open directory. A reader sees each name once whatever is created and deleted meanwhile, and a place in the stream
/// stays where it is; read anew after rewinddir(3).
///
/// Names are taken from the journal, some at a time, in the order of their bytes. While the directory is listed for the
/// first time, those that the listing adds follow: behind what was taken already they are found in the journal, before
/// it they come last.
///
/// Thread rule: any thread. A leaf lock, also inside of the journal's.
final class DirectoryStream: ListingFollower {
    /// Told once: nil when there is something to read, or nothing will come any more.
    typealias Completion = @Sendable (StoreError?) -> Void

    /// What a reader finds at a place.
    enum Place {
        /// `row`: if it is known without asking the journal.
        case entry(DirectoryNames.Entry, row: Inode?)
        /// The journal may have more: ``take(in:at:)``.
        case unknown
        /// A listing may bring more: ``wait(for:then:)``.
        case awaited
        case end
    }

    fileprivate enum Cursor {
        /// Names up to this one were taken from the journal.
        case after(String?)
        case end
    }

    /// What was last taken from the journal: most of it is read soon.
    fileprivate struct Page {
        /// Of the first name.
        var index: Int
        var names: [Dentry]
        /// ``Journal/version`` then.
        var version: UInt64

        var end: Int { index + names.count }
    }

    fileprivate struct State {
        var names = DirectoryNames()
        var page = Page(index: 0, names: [], version: 0)
        var cursor = Cursor.after(nil)
        /// Of the name that was asked for last.
        var reached = 0
        /// A listing that adds names is under way.
        var isFollowing: Bool
        /// Why the listing ended before its end.
        var failure: StoreError?
        /// Nil: for whatever comes first.
        var waiting: [(index: Int?, completion: Completion)] = []
    }

    let directory: InodeNumber
    /// Names that are taken from the journal at a time.
    static let pageLength = 1024
    private let state: Mutex<State>

    /// `isFollowing`: until ``ended(_:)`` a listing adds names.
    init(directory: InodeNumber, isFollowing: Bool) {
        self.directory = directory
        state = Mutex(State(isFollowing: isFollowing))
    }

    /// Whether nothing was read yet since the stream began.
    var isFresh: Bool {
        state.withLock { state in
            if case .after(nil) = state.cursor { state.names.count == 0 } else { false }
        }
    }

    /// Begins anew.
    func rewind(isFollowing: Bool) {
        state.withLock { state in
            let waiting = state.waiting
            state = State(isFollowing: isFollowing)
            state.waiting = waiting
        }
    }

    /// At the end of what is known, the failure that kept more from coming is thrown. `version`: that of the journal now.
    func place(_ index: Int, at version: UInt64) throws(StoreError) -> Place {
        let (place, failure) = state.withLock { state -> (Place, StoreError?) in
            state.reached = index
            if let recent = state.page[index] {
                let isCurrent = state.page.version == version && recent.inode.aliasOf == nil
                return (.entry(DirectoryNames.Entry(recent), row: isCurrent ? recent.inode : nil), nil)
            }
            if index < state.names.count { return (.entry(state.names[index], row: nil), nil) }
            guard case .end = state.cursor else { return (.unknown, nil) }
            return state.isFollowing ? (.awaited, nil) : (.end, state.failure)
        }
        if let failure { throw failure }
        return place
    }

    /// Whether so few names are left of what was taken that the next should be.
    var isRunningOut: Bool {
        state.withLock { state in
            guard case .after(_?) = state.cursor else { return false }
            return state.page.end - state.reached < Self.pageLength / 2
        }
    }

    /// Takes the next names from the journal, inside of a transaction.
    func take(in transaction: JournalTransaction, at version: UInt64) throws {
        guard case .after(let name) = state.withLock({ $0.cursor }) else { return }
        let found = try transaction.children(of: directory, after: name, limit: Self.pageLength)
        state.withLock { state in
            state.page = state.page(with: found.elements, at: version)
            for dentry in found.elements { state.names.append(DirectoryNames.Entry(dentry)) }
            state.cursor = found.next.map { .after($0) } ?? .end
        }
    }

    /// Calls `completion` when the place is no longer ``Place/awaited``; at once if it is not. Nil: when the listing got
    /// on, or has ended.
    func wait(for index: Int?, then completion: @escaping Completion) {
        let (isAwaited, failure) = state.withLock { state -> (Bool, StoreError?) in
            guard state.isFollowing else { return (false, state.failure) }
            guard index.map(state.isAwaited) ?? true else { return (false, nil) }
            state.waiting.append((index, completion))
            return (true, nil)
        }
        if !isAwaited { completion(failure) }
    }

    // MARK: The listing

    func added(_ names: [Dentry]) {
        state.withLock { state in
            guard state.isFollowing else { return }
            for dentry in names where state.hasPassed(dentry.name) {
                state.names.append(DirectoryNames.Entry(dentry))
            }
        }
    }

    func gotOn() {
        let ready = state.withLock { $0.takeReady() }
        for (_, completion) in ready { completion(nil) }
    }

    func ended(_ failure: StoreError?) {
        let ready = state.withLock { state in
            state.isFollowing = false
            state.failure = failure
            return state.takeReady()
        }
        for (_, completion) in ready { completion(failure) }
    }
}

extension DirectoryStream.Page {
    fileprivate subscript(index: Int) -> Dentry? {
        index >= self.index && index < end ? names[index - self.index] : nil
    }
}

extension DirectoryStream.State {
    fileprivate func isAwaited(_ index: Int) -> Bool {
        guard isFollowing, index >= names.count, case .end = cursor else { return false }
        return true
    }

    /// What was taken at the same version and not read yet, and what comes behind it now.
    fileprivate func page(with found: [Dentry], at version: UInt64) -> DirectoryStream.Page {
        guard page.version == version, page.end == names.count, page.index..<page.end ~= reached else {
            return DirectoryStream.Page(index: names.count, names: found, version: version)
        }
        let unread = page.names[(reached - page.index)...]
        return DirectoryStream.Page(index: reached, names: unread + found, version: version)
    }

    /// Those who need not wait any longer.
    fileprivate mutating func takeReady() -> [(index: Int?, completion: DirectoryStream.Completion)] {
        let state = self
        waiting = state.waiting.filter { $0.index.map(state.isAwaited) == true }
        return state.waiting.filter { $0.index.map(state.isAwaited) != true }
    }

    fileprivate func hasPassed(_ name: FileName) -> Bool {
        switch cursor {
        case .after(let last?): !last.utf8.lexicographicallyPrecedes(name.string.utf8)
        case .after(nil): false
        case .end: true
        }
    }
}

extension DirectoryNames.Entry {
    /// A symbolic link is at most this long: below it, only the object's metadata tells a link from a file.
    private static let largestAmbiguousSize = MetadataLoader.maximumTargetLength

    fileprivate init(_ dentry: Dentry) {
        let inode = dentry.inode
        self.init(
            name: dentry.name, inode: inode.aliasOf ?? inode.number, kind: inode.kind,
            isAmbiguous: !inode.isMetadataKnown && inode.kind == .file && inode.size <= Self.largestAmbiguousSize)
    }
}

import CFuse
import Cache
import Dispatch
import FileSystem
import Logging
import Synchronization
import SystemPackage

/// Tells the kernel what it must forget, from a queue of its own: the kernel may make a notification wait until
/// requests under way are answered, so that a request thread must not be the one that waits.
///
/// Does nothing before a session is mounted and after it ended.
public final class FuseKernelCache: KernelCache, Sendable {
    private enum Item: Hashable {
        case inode(InodeNumber)
        case name(FileName, directory: InodeNumber)
    }

    private struct State {
        var session: SessionPointer?
        var queued: [Item] = []
        /// The same as `queued`: what is already to be forgotten need not be queued again.
        var known: Set<Item> = []
        var isDraining = false
        var dropped = 0
    }

    /// At the bound an invalidation is dropped and logged: the kernel then shows the old name or attributes until
    /// their time to live ends, and old pages until the file is opened again.
    static let maximumQueued = 65_536

    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "sluice-kernel-cache")
    private let logger: Logger

    public init(logger: Logger) {
        self.logger = logger
    }

    public func invalidate(_ inode: InodeNumber) {
        enqueue(.inode(inode))
    }

    public func invalidate(_ name: FileName, in directory: InodeNumber) {
        enqueue(.name(name, directory: directory))
    }

    func attach(_ session: SessionPointer) {
        state.withLock { $0.session = session }
    }

    /// Returns false if the kernel still holds a notification after `limit`: the session must then not be freed.
    func detach(limit: DispatchTimeInterval = .seconds(5)) -> Bool {
        state.withLock { $0 = State(isDraining: $0.isDraining) }
        let drained = DispatchSemaphore(value: 0)
        queue.async { drained.signal() }
        return drained.wait(timeout: .now() + limit) == .success
    }

    private enum Admission { case ignored, queued, first, full }

    private func enqueue(_ item: Item) {
        switch state.withLock({ Self.admit(item, to: &$0) }) {
        case .first: queue.async { self.drain() }
        case .full: logger.warning("kernel cache invalidations dropped", metadata: ["bound": "\(Self.maximumQueued)"])
        case .ignored, .queued: break
        }
    }

    private static func admit(_ item: Item, to state: inout State) -> Admission {
        guard state.session != nil, !state.known.contains(item) else { return .ignored }
        guard state.queued.count < maximumQueued else {
            state.dropped += 1
            return state.dropped == 1 ? .full : .ignored
        }
        state.known.insert(item)
        state.queued.append(item)
        defer { state.isDraining = true }
        return state.isDraining ? .queued : .first
    }

    private func drain() {
        while let (session, items) = takeQueued() {
            for item in items { Self.notify(item, session) }
        }
    }

    private func takeQueued() -> (SessionPointer, [Item])? {
        state.withLock { state in
            guard let session = state.session, !state.queued.isEmpty else {
                state.isDraining = false
                return nil
            }
            defer {
                state.queued = []
                state.known = []
                state.dropped = 0
            }
            return (session, state.queued)
        }
    }

    /// ENOENT means that the kernel had nothing to forget.
    private static func notify(_ item: Item, _ session: SessionPointer) {
        switch item {
        case .inode(let inode):
            fuse_lowlevel_notify_inval_inode(session.raw, inode.rawValue, 0, 0)
        case .name(let name, let directory):
            let bytes = kernelString(name.string)
            fuse_lowlevel_notify_inval_entry(session.raw, directory.rawValue, bytes, bytes.count - 1)
        }
    }
}

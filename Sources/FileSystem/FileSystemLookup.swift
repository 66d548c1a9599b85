import Cache
import ObjectStore
import Platform
import SystemPackage
import Transfer

// MARK: Finding names

extension FileSystem {
    /// How long the store is waited for where what is known will do.
    static let renewalDeadline: Duration = .seconds(2)
    /// The same for a name that is not known: the kernel looks a name up before it creates it, and creating must not
    /// wait for the network.
    static let absenceDeadline: Duration = .milliseconds(300)

    public func lookup(
        _ name: FileName, in parent: InodeNumber, reply: @escaping Reply<Entry>
    ) -> (any PendingOperation)? {
        do throws(Errno) {
            let known = try find(name, in: parent)
            // Without a way to the bucket the names of a directory that was never listed count as absent: what is
            // made now is checked against the bucket when it is uploaded.
            guard known.isListed || link.isOffline || known.inode != nil else {
                return findAfterListing(name, in: parent, reply)
            }
            if known.isListed, !link.isOffline, let limit = lister.consult(parent, patience: known.patience) {
                if isWorthWaiting(known) { return findAfterRenewal(name, in: parent, within: limit, reply) }
                lister.refresh(parent)
            }
            guard let found = known.inode else { throw .noSuchFileOrDirectory }
            guard listed.suffice(for: found, in: listed.place(of: parent)) || link.isOffline else {
                return loadMetadata(of: found, named: name, in: parent, reply)
            }
            reply(.success(entry(found, in: parent)))
            return nil
        } catch {
            reply(.failure(error))
            return nil
        }
    }

    public func negativeTimeToLive(in directory: InodeNumber) -> Duration { kernelTimeToLive(in: directory) }

    /// An answer that gives the kernel a reference to what a name in a directory leads to.
    func entry(_ inode: Inode, in directory: InodeNumber) -> Entry {
        entry(inode, for: kernelTimeToLive(in: directory))
    }

    func entry(_ inode: Inode, for timeToLive: Duration) -> Entry {
        var entry = entry(inode)
        entry.timeToLive = timeToLive
        return entry
    }

    /// The kernel answers for a name by itself no longer than it is fresh: it would hide what others did. Where what
    /// is known is not fresh (no network; changes that are not sent yet), it has no reason to ask more often.
    func kernelTimeToLive(in directory: InodeNumber) -> Duration {
        let left = lister.remainingFreshness(of: directory)
        return left > .zero ? min(timeToLive, left) : timeToLive
    }

    /// An answer that comes within the network deadline, as EIO if nothing else.
    func park<Value: Sendable>(_ reply: @escaping Reply<Value>) -> ParkedReply<Value> {
        park(reply, within: options.networkDeadline) {
            $0.answer(.failure(.ioError))
            return nil
        }
    }

    func park<Value: Sendable>(
        _ reply: @escaping Reply<Value>, within limit: Duration,
        otherwise: @escaping @Sendable (ParkedReply<Value>) -> Duration?
    ) -> ParkedReply<Value> {
        ParkedReply(reply, within: limit, time: time, otherwise: otherwise)
    }

    private struct Known {
        var inode: Inode?
        /// The directory's names in the bucket are known.
        var isListed: Bool
        /// The directory was made or moved here and the bucket does not know yet.
        var isDirectoryPending: Bool

        /// How long news of the bucket is worth waiting for.
        var patience: Duration { inode == nil ? absenceDeadline : renewalDeadline }
    }

    private func find(_ name: FileName, in parent: InodeNumber) throws(Errno) -> Known {
        try read { transaction in
            let directory = try directory(parent, in: transaction)
            let row = try transaction.child(name, of: parent).flatMap { try transaction.inode($0) }
            return Known(
                inode: try row.map { try transaction.target(of: $0) },
                isListed: try transaction.listed(parent) != nil,
                isDirectoryPending: !directory.pending.isDisjoint(with: [.content, .location]))
        }
    }

    /// Not where this machine knows best, nor where somebody wants the network left alone.
    private func isWorthWaiting(_ known: Known) -> Bool {
        guard link.condition == .online, !known.isDirectoryPending else { return false }
        return known.inode.map { $0.pending.isEmpty && !cache.isOpenForWriting($0.number) } ?? true
    }

    private func findAfterListing(
        _ name: FileName, in parent: InodeNumber, _ reply: @escaping Reply<Entry>
    ) -> any PendingOperation {
        let parked = parkForListing(of: parent, reply) {
            $0.answer(.failure(.noSuchFileOrDirectory))
        }
        lister.refresh(parent) { [self] error in
            if let error {
                logger.notice("directory not listed", metadata: ["ino": "\(parent)", "error": "\(error)"])
            }
            findAgain(name, in: parent, for: parked)
        }
        return parked
    }

    /// What is known has to do if the bucket does not answer soon.
    private func findAfterRenewal(
        _ name: FileName, in parent: InodeNumber, within limit: Duration, _ reply: @escaping Reply<Entry>
    ) -> any PendingOperation {
        let end = time.monotonic + limit + Self.renewalDeadline
        let parked = park(reply, within: limit) { [self] in
            giveKnown(name, in: parent, for: $0, until: end)
        }
        lister.refresh(parent) { [self] _ in findAgain(name, in: parent, for: parked) }
        return parked
    }

    /// After a listing. `retries`: how often another version may be there than the one that was listed.
    private func findAgain(
        _ name: FileName, in parent: InodeNumber, for parked: ParkedReply<Entry>, retries: Int = 1
    ) {
        do throws(Errno) {
            guard let found = try find(name, in: parent).inode else { throw .noSuchFileOrDirectory }
            guard !listed.suffice(for: found, in: listed.place(of: parent)) else {
                return give(parked, found.number, in: parent)
            }
            loadMetadata(of: found, named: name, in: parent, for: parked, retries: retries)
        } catch {
            parked.answer(.failure(error))
        }
    }

    /// Returns how much longer to wait: until `end`, if only the metadata of a new object is still on its way.
    private func giveKnown(
        _ name: FileName, in parent: InodeNumber, for parked: ParkedReply<Entry>, until end: Duration
    ) -> Duration? {
        do throws(Errno) {
            guard let found = try find(name, in: parent).inode else { throw .noSuchFileOrDirectory }
            let left = end - time.monotonic
            if !found.isMetadataKnown && lister.lastProgress(of: parent) == nil && left > .zero { return left }
            give(parked, found.number, in: parent)
        } catch {
            parked.answer(.failure(error))
        }
        return nil
    }

    /// Waits as long as the listing gets on, and the network deadline longer; then `otherwise` answers.
    func parkForListing<Value: Sendable>(
        of directory: InodeNumber, _ reply: @escaping Reply<Value>,
        otherwise: @escaping @Sendable (ParkedReply<Value>) -> Void
    ) -> ParkedReply<Value> {
        let limit = options.networkDeadline
        return park(reply, within: limit) { [self] parked in
            let silence = lister.lastProgress(of: directory).map { time.monotonic - $0 } ?? limit
            if silence < limit { return limit - silence }
            otherwise(parked)
            return nil
        }
    }

    /// Attributes may be only in the object's metadata; if it does not come soon, defaults have to do.
    private func loadMetadata(
        of inode: Inode, named name: FileName, in parent: InodeNumber, _ reply: @escaping Reply<Entry>
    ) -> any PendingOperation {
        let parked = park(reply, within: Self.renewalDeadline) {
            self.give($0, inode.number, in: parent)
            return nil
        }
        loadMetadata(of: inode, named: name, in: parent, for: parked, retries: 1)
        return parked
    }

    private func loadMetadata(
        of inode: Inode, named name: FileName, in parent: InodeNumber, for parked: ParkedReply<Entry>, retries: Int
    ) {
        let isReadNext = options.looksBringBytes && forecast.withLock { $0.look(inode.number, in: parent) }
        metadata.load(inode.number, isReadNext: isReadNext) { [self] error in
            let isOutdated = error?.isOutdated ?? false
            guard isOutdated else { return give(parked, inode.number, in: parent) }
            // Somebody else wrote or deleted the object since it was listed.
            lister.refresh(parent) { [self] _ in
                if retries > 0 {
                    findAgain(name, in: parent, for: parked, retries: retries - 1)
                } else {
                    parked.answer(.failure(.noSuchFileOrDirectory))
                }
            }
        }
    }

    private func give(_ parked: ParkedReply<Entry>, _ number: InodeNumber, in parent: InodeNumber) {
        do throws(Errno) {
            let entry = entry(try row(number), in: parent)
            if !parked.answer(.success(entry)) { forget(number, count: 1) }
        } catch {
            parked.answer(.failure(error))
        }
    }

    func parentOf(_ number: InodeNumber) -> InodeNumber? {
        do {
            return try journal.read { try $0.name(of: number)?.parent }
        } catch {
            logger.warning("cannot read the journal", metadata: ["error": "\(error)"])
            return nil
        }
    }
}

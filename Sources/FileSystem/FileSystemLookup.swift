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
            var known = try find(name, in: parent)
            // Without a way to the bucket the names of a directory that was never listed count as absent: what is
            // made now is checked against the bucket when it is uploaded.
            if !known.isListed, !link.isOffline {
                if let pending = findAlone(name, in: parent, known, reply) { return pending }
                // A probe that was under way may have ended meanwhile.
                if known.inode == nil { known = try find(name, in: parent) }
            }
            if known.isListed, !link.isOffline, let limit = lister.consult(parent, patience: known.patience) {
                if isWorthWaiting(known) {
                    return findAfterRenewal(name, in: parent, within: limit, reply) {
                        lister.refresh(parent, then: $0)
                    }
                }
                lister.refresh(parent)
            }
            guard let found = known.inode else { throw .noSuchFileOrDirectory }
            noteLook(at: found, named: name, in: parent)
            guard listed.suffice(for: found, in: listed.place(of: parent)) || link.isOffline else {
                return loadMetadata(of: found, named: name, in: parent, reply)
            }
            reply(.success(entry(found, in: parent, named: name)))
            return nil
        } catch {
            reply(.failure(error))
            return nil
        }
    }

    public func negativeTimeToLive(in directory: InodeNumber) -> Duration { kernelTimeToLive(in: directory) }

    /// An answer that gives the kernel a reference to what a name in a directory leads to.
    func entry(_ inode: Inode, in directory: InodeNumber, named name: FileName? = nil) -> Entry {
        entry(inode, for: kernelTimeToLive(of: name, in: directory))
    }

    func entry(_ inode: Inode, for timeToLive: Duration) -> Entry {
        var entry = entry(inode)
        entry.timeToLive = timeToLive
        return entry
    }

    /// The kernel answers for a name by itself no longer than it is fresh: it would hide what others did. Where what
    /// is known is not fresh (no network; changes that are not sent yet), it has no reason to ask more often.
    func kernelTimeToLive(of name: FileName? = nil, in directory: InodeNumber) -> Duration {
        let alone = name.map { lister.remainingFreshness(of: $0, in: directory) } ?? .zero
        let left = max(alone, lister.remainingFreshness(of: directory))
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
        /// ``Inode/remoteSequence`` of the name's own row; nil if there is none.
        var sequence: Int64?
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
                inode: try row.map { try transaction.target(of: $0) }, sequence: row?.remoteSequence,
                isListed: try transaction.isListed(parent),
                isDirectoryPending: !directory.pending.isDisjoint(with: [.content, .location]))
        }
    }

    /// Not where this machine knows best, nor where somebody wants the network left alone.
    private func isWorthWaiting(_ known: Known) -> Bool {
        link.condition == .online && !known.isDirectoryPending && !isOurs(known)
    }

    /// Something by that name has changes that are not sent, or may get some.
    private func isOurs(_ known: Known) -> Bool {
        known.inode.map { !$0.pending.isEmpty || cache.isOpenForWriting($0.number) } ?? false
    }

    /// In a directory that was never listed: asks the bucket for the one name. Nil if what is known will do.
    private func findAlone(
        _ name: FileName, in parent: InodeNumber, _ known: Known, _ reply: @escaping Reply<Entry>
    ) -> (any PendingOperation)? {
        guard !isOurs(known) else { return nil }
        // Its object may be that of another name.
        if name.uncovered != nil {
            if known.inode == nil { return findAfterListing(name, in: parent, reply) }
            _ = lister.consult(parent, patience: .zero)
            return nil
        }
        guard
            let limit = lister.consult(
                name, in: parent, sequence: known.sequence, patience: known.patience,
                deadline: options.networkDeadline)
        else { return nil }
        if known.inode != nil && !isWorthWaiting(known) {
            lister.find(name, in: parent)
            return nil
        }
        return findAfterRenewal(name, in: parent, within: limit, reply) { lister.find(name, in: parent, then: $0) }
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

    /// What is known has to do if the bucket does not answer soon. `ask` asks it.
    private func findAfterRenewal(
        _ name: FileName, in parent: InodeNumber, within limit: Duration, _ reply: @escaping Reply<Entry>,
        _ ask: (@escaping Lister.Completion) -> Void
    ) -> any PendingOperation {
        let end = time.monotonic + limit + Self.renewalDeadline
        let parked = park(reply, within: limit) { [self] in
            giveKnown(name, in: parent, for: $0, until: end)
        }
        ask { [self] _ in findAgain(name, in: parent, for: parked) }
        return parked
    }

    /// After a listing. `retries`: how often another version may be there than the one that was listed.
    private func findAgain(
        _ name: FileName, in parent: InodeNumber, for parked: ParkedReply<Entry>, retries: Int = 1
    ) {
        do throws(Errno) {
            guard let found = try find(name, in: parent).inode else { throw .noSuchFileOrDirectory }
            guard !listed.suffice(for: found, in: listed.place(of: parent)) else {
                return give(parked, found.number, in: parent, named: name)
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
            let known = try find(name, in: parent)
            guard let found = known.inode else { throw .noSuchFileOrDirectory }
            let isAsking =
                known.isListed ? lister.lastProgress(of: parent) != nil : lister.isFinding(name, in: parent)
            let left = end - time.monotonic
            if !found.isMetadataKnown && !isAsking && left > .zero { return left }
            give(parked, found.number, in: parent, named: name)
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
            self.give($0, inode.number, in: parent, named: name)
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
            guard isOutdated else { return give(parked, inode.number, in: parent, named: name) }
            // Somebody else wrote or deleted the object since it was listed.
            lister.renew(name, in: parent) { [self] _ in
                if retries > 0 {
                    findAgain(name, in: parent, for: parked, retries: retries - 1)
                } else {
                    parked.answer(.failure(.noSuchFileOrDirectory))
                }
            }
        }
    }

    private func give(
        _ parked: ParkedReply<Entry>, _ number: InodeNumber, in parent: InodeNumber, named name: FileName
    ) {
        do throws(Errno) {
            let entry = entry(try row(number), in: parent, named: name)
            if !parked.answer(.success(entry)) { forget(number, count: 1) }
        } catch {
            parked.answer(.failure(error))
        }
    }

    /// Asks for what a program will look at next, if it looks at one child after the other. Where listings are believed,
    /// there is nothing to ask for.
    private func noteLook(at inode: Inode, named name: FileName, in parent: InodeNumber) {
        let isKnown = inode.isMetadataKnown
        let (isFollowed, step) = lookAhead.withLock {
            ($0.isFollowed(parent), $0.looked(at: inode.number, named: name, in: parent, isKnown: isKnown))
        }
        // Whether the next ones are read as well is told by those that were asked for ahead.
        if isKnown && isFollowed { _ = forecast.withLock { $0.look(inode.number, in: parent) } }
        guard let step, link.condition == .online, !listed.areTrusted(in: listed.place(of: parent)) else { return }
        do throws(Errno) {
            let next = try read { try $0.childrenToAsk(in: parent, behind: step.name, limit: step.count) }
            let isReadNext = options.looksBringBytes && forecast.withLock { $0.isReader(of: parent) }
            for number in lookAhead.withLock({ $0.found(next, in: parent, for: step) }) {
                metadata.load(number, isReadNext: isReadNext) { _ in }
            }
        } catch {
            logger.warning("cannot look ahead", metadata: ["ino": "\(parent)", "error": "\(error)"])
        }
    }

    func parentOf(_ number: InodeNumber) -> InodeNumber? { nameOf(number)?.parent }

    func nameOf(_ number: InodeNumber) -> (parent: InodeNumber, name: FileName)? {
        do {
            return try journal.read { try $0.name(of: number) }
        } catch {
            logger.warning("cannot read the journal", metadata: ["error": "\(error)"])
            return nil
        }
    }
}

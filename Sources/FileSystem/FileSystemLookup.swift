import Cache
import ObjectStore
import Platform
import SystemPackage
import Transfer

// MARK: Finding names

extension FileSystem {
    /// How long the store is waited for where what is known will do.
    static let renewalDeadline: Duration = .seconds(2)

    public func lookup(
        _ name: FileName, in parent: InodeNumber, reply: @escaping Reply<Entry>
    ) -> (any PendingOperation)? {
        do throws(Errno) {
            let (found, isListed) = try find(name, in: parent)
            if isListed { lister.refreshIfStale(parent) }
            if let found {
                guard found.isMetadataKnown || link.isOffline else { return loadMetadata(of: found, reply) }
                reply(.success(entry(found)))
                return nil
            }
            // Without a way to the bucket the names of a directory that was never listed count as absent: what is
            // made now is checked against the bucket when it is uploaded.
            guard isListed || link.isOffline else { return findAfterListing(name, in: parent, reply) }
            reply(.failure(.noSuchFileOrDirectory))
            return nil
        } catch {
            reply(.failure(error))
            return nil
        }
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

    /// The inode of a name, and whether the directory's names in the bucket are known.
    private func find(_ name: FileName, in parent: InodeNumber) throws(Errno) -> (Inode?, isListed: Bool) {
        try read { transaction in
            _ = try directory(parent, in: transaction)
            let row = try transaction.child(name, of: parent).flatMap { try transaction.inode($0) }
            let found = try row.map { try transaction.target(of: $0) }
            return (found, try transaction.listed(parent) != nil)
        }
    }

    private func findAfterListing(
        _ name: FileName, in parent: InodeNumber, _ reply: @escaping Reply<Entry>
    ) -> any PendingOperation {
        let parked = park(reply, within: options.networkDeadline) {
            $0.answer(.failure(.noSuchFileOrDirectory))
            return nil
        }
        lister.refresh(parent) { [self] error in
            if let error {
                logger.notice("directory not listed", metadata: ["ino": "\(parent)", "error": "\(error)"])
            }
            do throws(Errno) {
                guard let found = try find(name, in: parent).0 else { throw .noSuchFileOrDirectory }
                if found.isMetadataKnown { give(parked, found.number) } else { loadMetadata(of: found, for: parked) }
            } catch {
                parked.answer(.failure(error))
            }
        }
        return parked
    }

    /// Attributes may be only in the object's metadata; if it does not come soon, defaults have to do.
    private func loadMetadata(of inode: Inode, _ reply: @escaping Reply<Entry>) -> any PendingOperation {
        let parked = park(reply, within: Self.renewalDeadline) {
            self.give($0, inode.number)
            return nil
        }
        loadMetadata(of: inode, for: parked)
        return parked
    }

    private func loadMetadata(of inode: Inode, for parked: ParkedReply<Entry>) {
        metadata.load(inode.number) { [self] error in
            if let error, error.kind == .notFound || error.kind == .preconditionFailed {
                lister.refresh(parentOf(inode.number) ?? .root)
                parked.answer(.failure(.noSuchFileOrDirectory))
            } else {
                give(parked, inode.number)
            }
        }
    }

    private func give(_ parked: ParkedReply<Entry>, _ number: InodeNumber) {
        do throws(Errno) {
            let entry = entry(try row(number))
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

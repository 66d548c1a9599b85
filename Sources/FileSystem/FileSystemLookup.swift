import Cache
import ObjectStore
import Platform
import SystemPackage
import Transfer

// MARK: Finding names

extension FileSystem {
    public func lookup(
        _ name: FileName, in parent: InodeNumber, reply: @escaping Reply<Entry>
    ) -> (any PendingOperation)? {
        do throws(Errno) {
            let (found, isListed) = try find(name, in: parent)
            if isListed && !lister.isFresh(parent) { lister.refresh(parent) }
            if let found, found.isMetadataKnown {
                reply(.success(entry(found)))
                return nil
            }
            if found == nil, isListed {
                reply(.failure(.noSuchFileOrDirectory))
                return nil
            }
            return park(reply) { parked in
                if let found {
                    self.answer(parked, with: found)
                } else {
                    self.findAfterListing(name, in: parent, parked)
                }
            }
        } catch {
            reply(.failure(error))
            return nil
        }
    }

    /// Starts work that answers later, within the deadline.
    func park<Value: Sendable>(
        _ reply: @escaping Reply<Value>, _ start: (ParkedReply<Value>) -> Void
    ) -> any PendingOperation {
        let parked = ParkedReply(reply, within: options.networkDeadline, time: time)
        start(parked)
        return parked
    }

    /// The inode of a name, and whether the directory's names in the bucket are known.
    private func find(_ name: FileName, in parent: InodeNumber) throws(Errno) -> (Inode?, isListed: Bool) {
        try read { transaction in
            _ = try directory(parent, in: transaction)
            let found = try transaction.child(name, of: parent).flatMap { try transaction.inode($0) }
            return (found, try transaction.listed(parent) != nil)
        }
    }

    /// The directory was never listed. Without a way to the bucket its names count as absent: what is made now is
    /// checked against the bucket when it is uploaded.
    private func findAfterListing(_ name: FileName, in parent: InodeNumber, _ parked: ParkedReply<Entry>) {
        lister.refresh(parent) { [self] error in
            if let error {
                logger.notice("directory not listed", metadata: ["ino": "\(parent)", "error": "\(error)"])
            }
            do throws(Errno) {
                guard let found = try find(name, in: parent).0 else { throw .noSuchFileOrDirectory }
                answer(parked, with: found)
            } catch {
                parked.answer(.failure(error))
            }
        }
    }

    /// Answers with an inode whose attributes may be only in the object's metadata.
    private func answer(_ parked: ParkedReply<Entry>, with inode: Inode) {
        guard !inode.isMetadataKnown else { return give(parked, inode.number) }
        metadata.load(inode.number) { [self] error in
            // Without a way to the bucket the defaults have to do; what the store refuses is the answer.
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

import Cache
import Platform
import SystemPackage
import Transfer

// MARK: Reading directories

extension FileSystem {
    /// A symbolic link is at most this long: below it, only the object's metadata tells a link from a file.
    private static let largestAmbiguousSize = MetadataLoader.maximumTargetLength

    public func openDirectory(
        _ number: InodeNumber, reply: @escaping Reply<HandleNumber>
    ) -> (any PendingOperation)? {
        do throws(Errno) {
            let isListed = try read { transaction in
                _ = try directory(number, in: transaction)
                return try transaction.listed(number) != nil
            }
            guard isListed else { return listFirst(number, reply) }
            if !link.isOffline, let limit = lister.consult(number, patience: Self.renewalDeadline) {
                return renew(number, within: limit, reply)
            }
            reply(.success(makeStream(number)))
            return nil
        } catch {
            reply(.failure(error))
            return nil
        }
    }

    private func listFirst(_ number: InodeNumber, _ reply: @escaping Reply<HandleNumber>) -> any PendingOperation {
        let parked = parkForListing(of: number, reply) { $0.answer(.failure(.ioError)) }
        lister.refresh(number) { error in
            if let error {
                parked.answer(.failure(self.failure(error)))
            } else {
                self.answer(parked, number)
            }
        }
        return parked
    }

    /// What is known has to do if the bucket does not answer soon.
    private func renew(
        _ number: InodeNumber, within limit: Duration, _ reply: @escaping Reply<HandleNumber>
    ) -> any PendingOperation {
        let parked = park(reply, within: limit) {
            self.answer($0, number)
            return nil
        }
        lister.refresh(number) { _ in self.answer(parked, number) }
        return parked
    }

    private func answer(_ parked: ParkedReply<HandleNumber>, _ number: InodeNumber) {
        let handle = makeStream(number)
        if !parked.answer(.success(handle)) { releaseDirectory(handle) }
    }

    private func makeStream(_ number: InodeNumber) -> HandleNumber {
        table.withLock { table in
            let handle = table.nextHandle()
            table.directories[handle] = DirectoryStream(directory: number)
            return handle
        }
    }

    public func readDirectory(
        _ handle: HandleNumber, offset: Int64, withAttributes: Bool, emit: (DirectoryEntry) -> Bool
    ) throws(Errno) {
        let stream = try self.stream(handle)
        var position = max(0, offset)
        if position == 0 { rewind(stream) }
        let items = try names(of: stream)
        while position < 2 {
            guard emit(try dotEntry(stream.directory, position)) else { return }
            position += 1
        }
        var index = Int(position - 2)
        while index < items.count {
            guard
                let taken = try emitEntry(
                    items[index], of: stream.directory, Int64(index + 3), withAttributes, emit)
            else {
                index += 1
                continue
            }
            guard taken else { return }
            index += 1
        }
    }

    /// What others did since the directory was opened comes with the listing that this may begin.
    private func rewind(_ stream: DirectoryStream) {
        let isFirst = stream.items.withLock { items in
            defer { items = nil }
            return items == nil
        }
        if !isFirst && !link.isOffline { _ = lister.consult(stream.directory, patience: .zero) }
    }

    public func synchronizeDirectory(_ handle: HandleNumber) throws(Errno) {
        _ = try stream(handle)
        do {
            try journal.synchronize()
        } catch {
            throw failure(error)
        }
    }

    public func releaseDirectory(_ handle: HandleNumber) {
        _ = table.withLock { $0.directories.removeValue(forKey: handle) }
    }

    private func stream(_ handle: HandleNumber) throws(Errno) -> DirectoryStream {
        guard let stream = table.withLock({ $0.directories[handle] }) else { throw .badFileDescriptor }
        return stream
    }

    private func names(of stream: DirectoryStream) throws(Errno) -> [DirectoryStream.Item] {
        if let items = stream.items.withLock({ $0 }) { return items }
        let items = try read { transaction in
            try transaction.children(of: stream.directory).map { child in
                let isAmbiguous =
                    !child.inode.isMetadataKnown && child.inode.kind == .file
                    && child.inode.size <= Self.largestAmbiguousSize
                return DirectoryStream.Item(
                    name: child.name, inode: child.inode.aliasOf ?? child.inode.number,
                    kind: isAmbiguous ? nil : child.inode.kind, isMetadataKnown: child.inode.isMetadataKnown)
            }
        }
        stream.items.withLock { $0 = items }
        return items
    }

    private func dotEntry(_ directory: InodeNumber, _ position: Int64) throws(Errno) -> DirectoryEntry {
        let isParent = position == 1
        let inode = isParent ? parentOf(directory) ?? directory : directory
        return DirectoryEntry(
            name: isParent ? ".." : ".", inode: inode, kind: .directory, nextOffset: position + 1, entry: nil)
    }

    /// Whether the entry was taken; nil if it is left out, because it is gone and attributes were asked for.
    private func emitEntry(
        _ item: DirectoryStream.Item, of directory: InodeNumber, _ nextOffset: Int64, _ withAttributes: Bool,
        _ emit: (DirectoryEntry) -> Bool
    ) throws(Errno) -> Bool? {
        var entry = DirectoryEntry(
            name: item.name.string, inode: item.inode, kind: item.kind, nextOffset: nextOffset, entry: nil)
        guard withAttributes && item.isMetadataKnown else { return emit(entry) }
        guard let inode = try rowIfAny(item.inode), inode.linkCount > 0 else { return nil }
        entry.entry = self.entry(inode, in: directory)
        guard emit(entry) else {
            forget(item.inode, count: 1)
            return false
        }
        return true
    }
}

// MARK: Symbolic links

extension FileSystem {
    public func readSymbolicLink(
        _ number: InodeNumber, reply: @escaping Reply<String>
    ) -> (any PendingOperation)? {
        do throws(Errno) {
            let inode = try row(number)
            guard inode.kind == .symbolicLink, let target = inode.linkTarget else { throw .invalidArgument }
            reply(.success(target))
        } catch {
            reply(.failure(error))
        }
        return nil
    }
}

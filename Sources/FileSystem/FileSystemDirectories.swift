import Cache
import Platform
import SystemPackage
import Transfer

// MARK: Reading directories

extension FileSystem {
    public func openDirectory(
        _ number: InodeNumber, reply: @escaping Reply<HandleNumber>
    ) -> (any PendingOperation)? {
        do throws(Errno) {
            let isListed = try isListed(number)
            defer { opened(number, isListed: isListed) }
            guard isListed else { return listFirst(number, reply) }
            if !link.isOffline, let limit = lister.consult(number, patience: Self.renewalDeadline) {
                return renew(number, within: limit, reply)
            }
            reply(.success(open(DirectoryStream(directory: number, isFollowing: false))))
            return nil
        } catch {
            reply(.failure(error))
            return nil
        }
    }

    private func isListed(_ number: InodeNumber) throws(Errno) -> Bool {
        try read { transaction in
            _ = try directory(number, in: transaction)
            return try transaction.isListed(number)
        }
    }

    /// Not where somebody wants the network left alone.
    private func opened(_ number: InodeNumber, isListed: Bool) {
        if link.condition == .online { lister.opened(number, isListed: isListed) }
    }

    /// The directory can be read as soon as the first names are there.
    private func listFirst(_ number: InodeNumber, _ reply: @escaping Reply<HandleNumber>) -> any PendingOperation {
        let stream = DirectoryStream(directory: number, isFollowing: true)
        let parked = parkForListing(of: number, reply) { $0.answer(.failure(.ioError)) }
        follow(stream)
        stream.wait(for: nil) { [self] error in
            if let error {
                parked.answer(.failure(failure(error)))
            } else {
                answer(parked, stream)
            }
        }
        return parked
    }

    private func follow(_ stream: DirectoryStream) {
        lister.refresh(stream.directory, follower: stream) { stream.ended($0) }
    }

    /// What is known has to do if the bucket does not answer soon.
    private func renew(
        _ number: InodeNumber, within limit: Duration, _ reply: @escaping Reply<HandleNumber>
    ) -> any PendingOperation {
        let stream = DirectoryStream(directory: number, isFollowing: false)
        let parked = park(reply, within: limit) {
            self.answer($0, stream)
            return nil
        }
        lister.refresh(number) { _ in self.answer(parked, stream) }
        return parked
    }

    private func answer(_ parked: ParkedReply<HandleNumber>, _ stream: DirectoryStream) {
        let handle = open(stream)
        if !parked.answer(.success(handle)) { releaseDirectory(handle) }
    }

    private func open(_ stream: DirectoryStream) -> HandleNumber {
        table.withLock { table in
            let handle = table.nextHandle()
            table.directories[handle] = stream
            return handle
        }
    }

    public func awaitEntries(
        _ handle: HandleNumber, offset: Int64, reply: @escaping Reply<Void>
    ) -> (any PendingOperation)? {
        do throws(Errno) {
            let stream = try self.stream(handle)
            let index = Self.index(of: offset)
            guard index >= 0, case .awaited = try place(index, in: stream) else {
                reply(.success(()))
                return nil
            }
            let parked = parkForListing(of: stream.directory, reply) { $0.answer(.failure(.ioError)) }
            stream.wait(for: index) { [self] error in
                parked.answer(error.map { .failure(failure($0)) } ?? .success(()))
            }
            return parked
        } catch {
            reply(.failure(error))
            return nil
        }
    }

    public func readDirectory(
        _ handle: HandleNumber, offset: Int64, withAttributes: Bool, emit: (DirectoryEntry) -> Bool
    ) throws(Errno) {
        let stream = try self.stream(handle)
        var position = max(0, offset)
        if position == 0 {
            try rewind(stream)
            // The stream begins now: what is made while `.` and `..` are read comes later.
            _ = try place(0, in: stream)
        }
        while position < 2 {
            guard emit(try dotEntry(stream.directory, position)) else { return }
            position += 1
        }
        let timeToLive = kernelTimeToLive(in: stream.directory)
        // Both are asked for only where something is not known.
        lazy var place = listed.place(of: stream.directory)
        lazy var isTrusted = listed.areTrusted(in: place)
        while case .entry(let found, let row) = try self.place(Self.index(of: position), in: stream) {
            position += 1
            var entry = DirectoryEntry(
                name: found.name.string, inode: found.inode,
                kind: found.isAmbiguous && !isTrusted ? nil : found.kind,
                nextOffset: position, entry: nil)
            if withAttributes {
                let known = if let row { Optional(row) } else { try rowIfAny(found.inode) }
                // It is gone since.
                guard let inode = known, inode.linkCount > 0 else { continue }
                if listed.suffice(for: inode, in: place) { entry.entry = self.entry(inode, for: timeToLive) }
            }
            guard emit(entry) else {
                if entry.entry != nil { forget(found.inode, count: 1) }
                return
            }
        }
    }

    public func readAhead(inDirectory handle: HandleNumber) {
        guard let stream = try? stream(handle), stream.isRunningOut else { return }
        // Who reads on meets the failure.
        try? takeNames(into: stream)
    }

    /// Of what is at an offset, behind `.` and `..`.
    private static func index(of offset: Int64) -> Int { Int(offset - 2) }

    /// Never ``DirectoryStream/Place/unknown``.
    private func place(_ index: Int, in stream: DirectoryStream) throws(Errno) -> DirectoryStream.Place {
        while true {
            let place: DirectoryStream.Place
            do { place = try stream.place(index, at: journal.version) } catch { throw failure(error) }
            guard case .unknown = place else { return place }
            try takeNames(into: stream)
        }
    }

    private func takeNames(into stream: DirectoryStream) throws(Errno) {
        try read { try stream.take(in: $0, at: journal.version) }
    }

    /// What others did since the directory was opened comes with the listing that this may begin.
    private func rewind(_ stream: DirectoryStream) throws(Errno) {
        guard !stream.isFresh else { return }
        let isListed = try isListed(stream.directory)
        stream.rewind(isFollowing: !isListed)
        if !isListed {
            follow(stream)
        } else if !link.isOffline {
            _ = lister.consult(stream.directory, patience: .zero)
        }
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

    private func dotEntry(_ directory: InodeNumber, _ position: Int64) throws(Errno) -> DirectoryEntry {
        let isParent = position == 1
        let inode = isParent ? parentOf(directory) ?? directory : directory
        return DirectoryEntry(
            name: isParent ? ".." : ".", inode: inode, kind: .directory, nextOffset: position + 1, entry: nil)
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

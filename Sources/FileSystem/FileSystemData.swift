import Cache
import ObjectStore
import Platform
import SystemPackage
import Transfer

// MARK: Opening and closing

extension FileSystem {
    public func create(
        _ name: FileName, in parent: InodeNumber, permissions: UInt16, mode: OpenMode, caller: Caller
    ) throws(Errno) -> (Entry, OpenedFile) {
        let inode = try makeInode(name, in: parent, kind: .file, permissions: permissions, caller: caller)
        let opened: OpenedFile
        do {
            let file = try acquire(inode, mode, isNew: true)
            opened = try openHandle(file, inode, mode)
        } catch {
            // A call that failed has made nothing.
            try? unlink(name, in: parent)
            throw error
        }
        // No writer's close will send it.
        if !mode.contains(.write) { writeback.schedule(inode.number, after: options.uploadDelay) }
        return (entry(inode), opened)
    }

    public func open(
        _ inode: InodeNumber, mode: OpenMode, reply: @escaping Reply<OpenedFile>
    ) -> (any PendingOperation)? {
        let answer: Reply<Void> = { known in
            reply(known.flatMap { Result { () throws(Errno) in try self.open(inode, mode) } })
        }
        // What is written takes the place of an object with all that it carries.
        if mode.contains(.write) { return awaitAttributes(of: inode, forExtended: nil, reply: answer) }
        answer(.success(()))
        return nil
    }

    private func open(_ number: InodeNumber, _ mode: OpenMode) throws(Errno) -> OpenedFile {
        guard !options.isReadOnly || mode.isDisjoint(with: [.write, .truncate]) else { throw .readOnlyFileSystem }
        let inode = try row(number)
        switch inode.kind {
        case .directory: throw .isDirectory
        case .symbolicLink: throw .tooManySymbolicLinkLevels
        // The kernel opens these by itself; open(2) of a socket is ENXIO.
        case .pipe, .socket, .characterDevice, .blockDevice: throw .noSuchAddressOrDevice
        case .file: break
        }
        let file = try acquire(inode, mode)
        do throws(Errno) {
            if mode.contains(.write), inode.linkCount > 0, try wasDisplaced(number) { throw .staleNFSFileHandle }
            if mode.contains(.truncate) { try empty(file) }
        } catch {
            giveBack(file, mode)
            throw error
        }
        return try openHandle(file, inode, mode)
    }

    /// O_TRUNC.
    private func empty(_ file: CachedFile) throws(Errno) {
        do {
            if file.status.size > 0 || !file.isDirty { try file.truncate(to: 0) }
        } catch {
            throw failure(error)
        }
        try dropSetID(file.inode)
    }

    /// Whether somebody else's version took the file's name before it counted as open for writing: what is written now
    /// would be nobody's. On ESTALE the kernel looks the name up again.
    private func wasDisplaced(_ number: InodeNumber) throws(Errno) -> Bool {
        try read { try $0.inode(number)?.linkCount == 0 }
    }

    private func acquire(_ inode: Inode, _ mode: OpenMode, isNew: Bool = false) throws(Errno) -> CachedFile {
        let writes = mode.contains(.write)
        do {
            return try isNew
                ? cache.acquireNew(inode, forWriting: writes) : cache.acquire(inode.number, forWriting: writes)
        } catch {
            throw failure(error)
        }
    }

    /// Takes over the reference to the file.
    private func openHandle(_ file: CachedFile, _ inode: Inode, _ mode: OpenMode) throws(Errno) -> OpenedFile {
        let path: OpenPaths.Choice
        do {
            path = try paths.open(file, mode, permissions: inode.permissions)
        } catch {
            giveBack(file, mode)
            throw failure(error)
        }
        let open = OpenFile(file: file, mode: mode, mustDropSetID: inode.permissions & 0o6000 != 0)
        let handle = table.withLock { table in
            let handle = table.nextHandle()
            table.files[handle] = open
            return handle
        }
        if mode.contains(.read), !mode.contains(.truncate) { forecast.withLock { $0.opened(inode.number) } }
        // New bytes from the bucket come under a new inode number: the kernel's pages of this one stay true.
        return OpenedFile(handle: handle, keepsKernelCache: path.keepsKernelCache, backing: path.backing)
    }

    public func release(_ handle: HandleNumber) {
        guard let open = table.withLock({ $0.files.removeValue(forKey: handle) }) else { return }
        if paths.wasWritten(sinceSetIDOf: open.file.inode) { try? dropSetID(open.file.inode) }
        if paths.close(open.file, open.mode) { forgetPages(of: open.file.inode) }
        giveBack(open.file, open.mode)
        fetcher.dropReadAhead(of: open.file.inode)
        fetcher.uncached.forget(open.file.inode)
    }

    private func giveBack(_ file: CachedFile, _ mode: OpenMode) {
        if mode.contains(.write) {
            finishWriting(file)
        } else {
            cache.release(file)
        }
    }

    func handle(_ handle: HandleNumber) throws(Errno) -> OpenFile {
        guard let open = table.withLock({ $0.files[handle] }) else { throw .badFileDescriptor }
        return open
    }
}

// MARK: Bytes

extension FileSystem {
    public func read(
        _ handle: HandleNumber, offset: Int64, count: Int, reply: @escaping Reply<FileBytes>
    ) -> (any PendingOperation)? {
        do throws(Errno) {
            let open = try self.handle(handle)
            let end = min(offset.addingReportingOverflow(Int64(count)).partialValue, open.file.status.size)
            let range = offset..<max(offset, end)
            let region = FileRegion(
                descriptor: open.file.descriptor, offset: offset, count: Int(range.count), owner: open.file)
            do { try open.file.verify(range) } catch { throw failure(error) }
            if open.file.isComplete || range.isEmpty {
                reply(.success(.region(region)))
                return nil
            }
            return fetch(range, of: open, region, reply: reply)
        } catch {
            reply(.failure(error))
            return nil
        }
    }

    /// Waits as long as bytes of the file arrive, and the network deadline longer.
    private func fetch(
        _ range: Range<Int64>, of open: OpenFile, _ region: FileRegion, reply: @escaping Reply<FileBytes>
    ) -> (any PendingOperation)? {
        let bytesPerSecond = fetcher.bytesPerSecond
        let (wanted, hasJumped) = open.readAhead.withLock { readAhead in
            (readAhead.observe(range, bytesPerSecond: bytesPerSecond), readAhead.hasJumped)
        }
        if hasJumped { fetcher.dropReadAhead(of: open.file.inode) }
        if open.file.missing(in: range).isEmpty {
            fetcher.read(open.file, range, wanted: wanted) { _ in }
            reply(.success(.region(region)))
            return nil
        }
        let limit = options.networkDeadline
        let parked = park(reply, within: limit) { [self] parked in
            let silence = lastProgress(of: open.file.inode).map { time.monotonic - $0 } ?? limit
            if silence < limit { return limit - silence }
            parked.answer(.failure(.ioError))
            return nil
        }
        fetcher.read(open.file, range, wanted: wanted) { [self] error in
            switch error {
            case nil: parked.answer(.success(.region(region)))
            case let error? where error.kind == .localFault: readUncached(range, of: open, parked)
            case let error?: parked.answer(.failure(readFailure(error, open.file.inode)))
            }
        }
        return parked
    }

    private func lastProgress(of inode: InodeNumber) -> Duration? {
        let moments = [fetcher.lastProgress(of: inode), fetcher.uncached.lastProgress(of: inode)]
        return moments.compactMap { $0 }.max()
    }

    /// A disk that cannot take the bytes keeps nobody from reading them.
    private func readUncached(_ range: Range<Int64>, of open: OpenFile, _ parked: ParkedReply<FileBytes>) {
        Task {
            do {
                parked.answer(.success(.memory(try await fetcher.uncached.read(open.file, range))))
            } catch let error as StoreError {
                parked.answer(.failure(readFailure(error, open.file.inode)))
            } catch {
                parked.answer(.failure(failure(error)))
            }
        }
    }

    /// The object that the handle reads is gone or is another version now: ESTALE, and the bucket is asked for its name.
    private func readFailure(_ error: StoreError, _ inode: InodeNumber) -> Errno {
        guard error.isOutdated else { return failure(error) }
        if let (parent, name) = nameOf(inode) { lister.renew(name, in: parent) }
        return .staleNFSFileHandle
    }

    public func write(
        _ handle: HandleNumber, offset: Int64, count: Int,
        transfer: (_ descriptor: Int32, _ offset: Int64) throws(Errno) -> Int
    ) throws(Errno) -> Int? {
        let open = try writable(handle)
        guard !space.isAnyWaiting else { return nil }
        let written = try changeBytes(of: open, adding: Int64(count)) {
            try open.file.write(at: offset, count: count, transfer: transfer)
        }
        if written == nil, let errno = try refusal(of: Int64(count), in: open) { throw errno }
        return written
    }

    public func writeWhenRoom(
        _ handle: HandleNumber, offset: Int64, _ bytes: [UInt8], reply: @escaping Reply<Int>
    ) -> (any PendingOperation)? {
        let write = WaitingWrite(bytes, at: offset, reply)
        return change(handle, adding: Int64(bytes.count), held: bytes.count, reply: write.answer) {
            try write.goOn(in: $0)
        }
    }

    private func writable(_ handle: HandleNumber) throws(Errno) -> OpenFile {
        let open = try self.handle(handle)
        guard open.mode.contains(.write) else { throw .badFileDescriptor }
        return open
    }

    /// Changes the bytes of a file, at once or as soon as there is room for `count` bytes more.
    ///
    /// `held`: bytes in memory that `change` keeps.
    func change<Value: Sendable>(
        _ handle: HandleNumber, adding count: Int64, held: Int = 0, reply: @escaping Reply<Value>,
        _ change: @escaping @Sendable (CachedFile) throws -> Value
    ) -> (any PendingOperation)? {
        do throws(Errno) {
            let open = try writable(handle)
            if count == 0 || !space.isAnyWaiting {
                if let value = try changeBytes(of: open, adding: count, { try change(open.file) }) {
                    reply(.success(value))
                    return nil
                }
            }
            if let errno = try refusal(of: count, in: open) { throw errno }
            return space.add(open.file.inode, count: count, held: held, reply: reply) { [self] () throws(Errno) in
                try changeBytes(of: open, adding: count) { try change(open.file) }
            }
        } catch {
            reply(.failure(error))
            return nil
        }
    }

    /// Nil if a change that finds no room may wait for it.
    private func refusal(of count: Int64, in open: OpenFile) throws(Errno) -> Errno? {
        do {
            guard try cache.couldHold(count) else { return .noSpace }
            return space.mayWait ? nil : space.refuse(open.file.inode)
        } catch {
            throw failure(error)
        }
    }

    /// What goes with every change of a file's bytes through a handle; `count` bytes may come to the disk. Nil if there
    /// is no room for them.
    private func changeBytes<Result>(
        of open: OpenFile, adding count: Int64, _ change: () throws -> Result
    ) throws(Errno) -> Result? {
        do {
            if count > 0 { try cache.admit(count) }
            if open.mustDropSetID.exchange(false, ordering: .relaxed) {
                // Tried again with the rest if the journal has no room.
                do { try dropSetID(open.file.inode) } catch {
                    open.mustDropSetID.store(true, ordering: .relaxed)
                    throw error
                }
            }
            let result = try change()
            if open.mode.contains(.synchronous) { try cache.synchronize(open.file) }
            return result
        } catch  where ErrnoMapping.isForWantOfSpace(error) {
            return nil
        } catch {
            throw failure(error)
        }
    }

    public func synchronize(_ handle: HandleNumber, dataOnly: Bool) throws(Errno) {
        let open = try self.handle(handle)
        do {
            if dataOnly {
                try cache.synchronizeBytes(of: open.file)
            } else {
                try cache.synchronize(open.file)
            }
        } catch {
            throw failure(error)
        }
    }
}

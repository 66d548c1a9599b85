import Platform

// MARK: Handing data files over to programs

extension FileCache {
    /// Room that must be there for a file to be handed to who writes, 16 GiB: writes that go past this process cannot be
    /// held back, and would end in ENOSPC where others wait for uploads to make room.
    static let spareRoom: Int64 = 16 << 30
    /// After which the kernel has given up the data file of a handle that is gone; milliseconds before.
    static let closingTime = Duration.milliseconds(10)
    /// Files of which is remembered that all their blocks were compared; those beyond are compared at each opening.
    private static let checkedLimit = 1_000_000

    /// Whether programs may reach the data file past this process, of a file that no program has open.
    public func mayHandOver(_ file: CachedFile, for access: FileAccess) -> Bool {
        file.mayBeHandedOver(for: access) && (!access.writes || hasSpareRoom)
    }

    private var hasSpareRoom: Bool {
        spare.withLock { spare in
            let now = time.monotonic
            if let known = spare, now - known.at < .seconds(1) { return known.isThere }
            let isThere = ((try? room(for: .writing).bytes) ?? 0) >= Self.spareRoom
            spare = (now, isThere)
            return isThere
        }
    }

    /// A program's handle goes past this process from now on, until ``handBack(_:_:)``. The caller has a reference to the
    /// file. Throws ``CacheError``; then nothing goes past.
    public func handOver(_ file: CachedFile, for access: FileAccess) throws {
        if access.writes { try settleFetched(file) }
        if try file.handOver(for: access) { writers.add(file.inode) }
    }

    /// The handle is gone. A mapping of it may live on: then the file counts as open for writing until that is gone as
    /// well, which is looked for soon, with each flush and when the file is to be sent.
    public func handBack(_ file: CachedFile, _ access: FileAccess) {
        guard file.handBack(access) else { return }
        table.withLock { table in
            if table.lingering.insert(file.inode).inserted { table.open[file.inode]?.references += 1 }
        }
        // The kernel tells of the close before it gives up the handle's data file.
        _ = time.after(Self.closingTime) { [weak self, number = file.inode] in self?.settleMappings(of: number) }
    }

    /// Whether programs write into a file, also past this process, and also such that outlived a former process. Not to be
    /// asked inside of a journal transaction.
    public func hasWriters(_ number: InodeNumber) -> Bool {
        if table.withLock({ $0.suspects.contains(number) }), let file = try? acquire(number) { release(file) }
        _ = endLingering(number)
        return writers.contains(number)
    }

    /// `body` is called, under no lock of the cache, when nobody writes any more into a file whose handles were closed
    /// before.
    public func whenWritersAreGone(_ body: @escaping @Sendable (InodeNumber) -> Void) {
        writersGone.withLock { $0 = body }
    }

    /// Looks whether mappings that outlived their handles are gone. Not to be called while a program may be opening the file.
    public func settleMappings(of number: InodeNumber) {
        if endLingering(number) { writersGone.withLock { $0 }?(number) }
    }

    /// The work of the flush timer.
    func settleMappings() {
        for number in table.withLock({ $0.lingering }) { settleMappings(of: number) }
    }

    /// Whether a file that lingered is closed now.
    private func endLingering(_ number: InodeNumber) -> Bool {
        table.withLock { table in
            guard table.lingering.contains(number), let opened = table.open[number], opened.file.endMappings() else {
                return false
            }
            table.lingering.remove(number)
            table.open[number]?.references -= 1
            writers.remove(number)
            if opened.references == 1 { lastReferenceGone(opened.file, &table) }
            return true
        }
    }

    /// In the same boot, programs of a former mount may still write into files with changes.
    func lookForForeignWriters(_ file: CachedFile, _ table: inout Table) {
        guard table.suspects.remove(file.inode) != nil, file.findForeignWriters() else { return }
        logger.notice("a program of a former mount still writes", metadata: ["ino": "\(file.inode)"])
        table.lingering.insert(file.inode)
        table.open[file.inode]?.references += 1
        writers.add(file.inode)
    }

    /// Of a file that is closed now.
    func rememberChecked(_ file: CachedFile, _ table: inout Table) {
        if file.staysChecked && table.checked.count < Self.checkedLimit {
            table.checked.insert(file.inode)
        } else {
            table.checked.remove(file.inode)
        }
    }
}

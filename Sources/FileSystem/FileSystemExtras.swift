import Cache
import Platform
import SystemPackage
import Transfer

// MARK: Extended attributes

extension FileSystem {
    static let userPrefix = "user."

    public func setExtendedAttribute(
        _ name: String, to value: [UInt8], of number: InodeNumber, mode: ExtendedAttributeMode
    ) throws(Errno) {
        try checkName(name)
        let isScheduled = try add { transaction in
            let exists = try transaction.extendedAttribute(name, of: number) != nil
            switch mode {
            case .create where exists: throw Errno.fileExists
            case .replace where !exists: throw Errno.noData
            case .create, .replace, .createOrReplace: break
            }
            let isScheduled = try setExtendedAttribute(name, value, of: number, transaction)
            let attributes = try transaction.extendedAttributes(of: number)
            // The transaction is undone with the error.
            guard try PosixMetadata(inode(number, in: transaction), extendedAttributes: attributes).fits else {
                throw Errno.noSpace
            }
            return isScheduled
        }
        if isScheduled { writeback.schedule(number, after: options.uploadDelay) }
    }

    public func extendedAttribute(_ name: String, of number: InodeNumber) throws(Errno) -> [UInt8] {
        if name.hasPrefix(VirtualAttribute.prefix) { return try virtualAttribute(name, of: number) }
        guard name.hasPrefix(Self.userPrefix) else { throw .notSupported }
        return try read { transaction in
            guard let value = try transaction.extendedAttribute(name, of: number) else { throw Errno.noData }
            return value
        }
    }

    public func extendedAttributeNames(of number: InodeNumber) throws(Errno) -> [String] {
        try read { transaction in
            try transaction.extendedAttributes(of: number).map(\.name).filter { !$0.hasPrefix(VirtualAttribute.prefix) }
        }
    }

    public func removeExtendedAttribute(_ name: String, of number: InodeNumber) throws(Errno) {
        try checkName(name)
        let isScheduled = try change { transaction in
            guard try transaction.extendedAttribute(name, of: number) != nil else { throw Errno.noData }
            return try setExtendedAttribute(name, nil, of: number, transaction)
        }
        if isScheduled { writeback.schedule(number, after: options.uploadDelay) }
    }

    private func checkName(_ name: String) throws(Errno) {
        guard name.hasPrefix(Self.userPrefix) else { throw .notSupported }
        guard !name.hasPrefix(VirtualAttribute.prefix) else { throw .notPermitted }
    }

    private func virtualAttribute(_ name: String, of number: InodeNumber) throws(Errno) -> [UInt8] {
        let text: String? =
            switch VirtualAttribute(rawValue: name) {
            case .control: number == .root ? options.controlPath : nil
            case .key: try key(of: number)
            case .etag: try row(number).remote?.etag.value
            case .state: BucketState(try row(number), isUnderWay: writeback.isUnderWay(number)).rawValue
            case nil: nil
            }
        guard let text else { throw .noData }
        return Array(text.utf8)
    }

    private func key(of number: InodeNumber) throws(Errno) -> String? {
        if number == .root { return options.keyPrefix.isEmpty ? nil : options.keyPrefix }
        return try read { try $0.key(of: inode(number, in: $0))?.string }.map { options.keyPrefix + $0 }
    }

    /// Whether there is an object whose metadata differ now.
    private func setExtendedAttribute(
        _ name: String, _ value: [UInt8]?, of number: InodeNumber, _ transaction: JournalTransaction
    ) throws -> Bool {
        var inode = try inode(number, in: transaction)
        try transaction.setExtendedAttribute(name, to: value, of: number)
        inode.changed = time.wall
        if options.metadata == .full { try markMetadataPending(&inode, in: transaction) }
        try transaction.update(inode)
        return inode.pending.contains(.metadata)
    }
}

// MARK: Statistics

extension FileSystem {
    public func statistics() throws(Errno) -> FileSystemStatistics {
        do {
            let (total, available) = try cache.writableSpace()
            let unit: Int64 = 4096
            return FileSystemStatistics(
                blockSize: UInt32(unit), blocks: UInt64(total / unit), freeBlocks: UInt64(available / unit),
                availableBlocks: UInt64(available / unit), files: 1 << 32, freeFiles: 1 << 31,
                maximumNameLength: UInt32(FileName.maximumLength))
        } catch {
            throw failure(error)
        }
    }
}

import Cache
import Platform
import SystemPackage
import Transfer

// MARK: Extended attributes

extension FileSystem {
    private static let userPrefix = "user."

    public func setExtendedAttribute(
        _ name: String, to value: [UInt8], of number: InodeNumber, mode: ExtendedAttributeMode
    ) throws(Errno) {
        try checkName(name)
        let isScheduled = try change { transaction in
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
        if name == FileSystemOptions.controlAttribute && number == .root { return Array(options.controlPath.utf8) }
        guard name.hasPrefix(Self.userPrefix) else { throw .notSupported }
        return try read { transaction in
            guard let value = try transaction.extendedAttribute(name, of: number) else { throw Errno.noData }
            return value
        }
    }

    public func extendedAttributeNames(of number: InodeNumber) throws(Errno) -> [String] {
        try read { try $0.extendedAttributes(of: number).map(\.name) }
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
        guard name != FileSystemOptions.controlAttribute else { throw .notPermitted }
    }

    /// Whether there is an object whose metadata differ now.
    private func setExtendedAttribute(
        _ name: String, _ value: [UInt8]?, of number: InodeNumber, _ transaction: JournalTransaction
    ) throws -> Bool {
        var inode = try inode(number, in: transaction)
        try transaction.setExtendedAttribute(name, to: value, of: number)
        inode.changed = time.wall
        try markMetadataPending(&inode, in: transaction)
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

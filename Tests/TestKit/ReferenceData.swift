import Platform
import SystemPackage

// Bytes: open(2), pread(2), pwrite(2), ftruncate(2), fallocate(2).

extension ReferenceFileSystem {
    mutating func open(_ slot: Int, _ path: String, _ flags: OpenFlags, _ mode: Mode) throws(Errno) {
        closeIfOpen(slot)
        let inode = try inodeToOpen(path, flags, mode)
        handles[slot] = Handle(inode: inode, flags: flags)
        if flags.contains(.truncate) { change(inode) { $0 = [] } }
    }

    private mutating func inodeToOpen(_ path: String, _ flags: OpenFlags, _ mode: Mode) throws(Errno) -> Int {
        let place = try place(path)
        guard let inode = place.inode else {
            guard flags.contains(.create) else { throw .noSuchFileOrDirectory }
            return try make(place, .file([]), mode)
        }
        if flags.isSuperset(of: [.create, .exclusive]) { throw .fileExists }
        switch inodes[inode]?.kind {
        case .link: throw .tooManySymbolicLinkLevels
        case .directory: throw .isDirectory
        case .socket: throw .noSuchAddressOrDevice
        case .file, nil: return inode
        }
    }

    mutating func close(_ slot: Int) throws(Errno) {
        guard closeIfOpen(slot) else { throw .badFileDescriptor }
    }

    @discardableResult
    private mutating func closeIfOpen(_ slot: Int) -> Bool {
        guard let handle = handles.removeValue(forKey: slot) else { return false }
        forgetIfUnused(handle.inode)
        return true
    }

    func handle(_ slot: Int) throws(Errno) -> Handle {
        guard let handle = handles[slot] else { throw .badFileDescriptor }
        return handle
    }

    func read(_ slot: Int, at offset: Int64, count: Int) throws(Errno) -> [UInt8] {
        let handle = try handle(slot)
        guard handle.flags.contains(.read) else { throw .badFileDescriptor }
        return Array(bytes(of: handle.inode).dropFirst(Int(offset)).prefix(count))
    }

    mutating func write(_ slot: Int, _ bytes: [UInt8], at offset: Int64) throws(Errno) -> Int {
        let handle = try handle(slot)
        guard handle.flags.contains(.write) else { throw .badFileDescriptor }
        change(handle.inode) { content in
            let start = handle.flags.contains(.append) ? content.count : Int(offset)
            content.extend(to: start + bytes.count)
            content.replaceSubrange(start..<start + bytes.count, with: bytes)
        }
        return bytes.count
    }

    mutating func resize(_ slot: Int, to size: Int64) throws(Errno) {
        let handle = try handle(slot)
        guard handle.flags.contains(.write) else { throw .invalidArgument }
        try resizeFile(handle.inode, to: size)
    }

    mutating func allocate(_ slot: Int, _ range: Range<Int64>, _ allocation: Allocation) throws(Errno) {
        let handle = try handle(slot)
        guard handle.flags.contains(.write) else { throw .badFileDescriptor }
        change(handle.inode) { content in
            if !allocation.keepsSize { content.extend(to: Int(range.upperBound)) }
            guard allocation.zeroes else { return }
            for index in Int(range.lowerBound)..<Int(range.upperBound) where index < content.count {
                content[index] = 0
            }
        }
    }

    mutating func resizeFile(_ inode: Int, to size: Int64) throws(Errno) {
        guard inodes[inode]?.kind != .directory else { throw .isDirectory }
        guard inodes[inode]?.kind != .socket else { throw .invalidArgument }
        guard size >= 0 else { throw .invalidArgument }
        change(inode) { content in
            content.extend(to: Int(size))
            content.removeLast(content.count - Int(size))
        }
    }

    private func bytes(of inode: Int) -> [UInt8] {
        guard case .file(let bytes) = inodes[inode]?.body else { return [] }
        return bytes
    }

    /// Every change of the bytes moves the time and takes set-id bits away.
    private mutating func change(_ inode: Int, _ change: (inout [UInt8]) -> Void) {
        var content = bytes(of: inode)
        change(&content)
        inodes[inode]?.body = .file(content)
        inodes[inode]?.modified = nil
        inodes[inode]?.dropSetID()
    }
}

extension [UInt8] {
    fileprivate mutating func extend(to size: Int) {
        if count < size { self += Self(repeating: 0, count: size - count) }
    }
}

import CFuse
import Cache
import FileSystem
import SystemPackage

// Requests about names: lookup and forget, links, directories made and removed, unlink, rename.

extension FuseSession {
    func lookup(_ request: KernelRequest, parent: fuse_ino_t, name: UnsafePointer<CChar>?) {
        guard let name else { return RequestReply(request).fail(.invalidArgument) }
        withName(name, request) { name in
            answerLater(
                request,
                send: { [operations] reply, result in
                    switch result {
                    case .success(let entry): return reply.entry(entry)
                    case .failure(.noSuchFileOrDirectory):
                        reply.noEntry(timeToLive: operations.negativeTimeToLive(in: InodeNumber(rawValue: parent)))
                    case .failure(let errno): reply.fail(errno)
                    }
                    return false
                },
                giveBack: { [operations] entry in operations.forget(entry.attributes.inode, count: 1) },
                operation: { operations.lookup(name, in: InodeNumber(rawValue: parent), reply: $0) }
            )
        }
    }

    func forget(_ request: KernelRequest, inode: fuse_ino_t, count: UInt64) {
        operations.forget(InodeNumber(rawValue: inode), count: count)
        RequestReply(request).nothing()
    }

    func forget(_ request: KernelRequest, _ list: UnsafeBufferPointer<fuse_forget_data>) {
        for item in list { operations.forget(InodeNumber(rawValue: item.ino), count: item.nlookup) }
        RequestReply(request).nothing()
    }

    func readSymbolicLink(_ request: KernelRequest, inode: fuse_ino_t) {
        answerLater(
            request,
            send: { reply, result in
                switch result {
                case .success(let target): reply.symbolicLink(target)
                case .failure(let errno): reply.fail(errno)
                }
                return true
            },
            operation: { operations.readSymbolicLink(InodeNumber(rawValue: inode), reply: $0) }
        )
    }

    func makeSymbolicLink(
        _ request: KernelRequest,
        parent: fuse_ino_t,
        name: UnsafePointer<CChar>?,
        target: UnsafePointer<CChar>?
    ) {
        guard let target else { return RequestReply(request).fail(.invalidArgument) }
        answerEntry(request, name) { name throws(Errno) in
            try operations.makeSymbolicLink(
                name,
                in: InodeNumber(rawValue: parent),
                target: ByteText.encode(kernelBytes(of: target)),
                caller: request.caller
            )
        }
    }

    func makeHardLink(
        _ request: KernelRequest,
        to inode: fuse_ino_t,
        parent: fuse_ino_t,
        name: UnsafePointer<CChar>?
    ) {
        guard let name else { return RequestReply(request).fail(.invalidArgument) }
        let (inode, parent) = (InodeNumber(rawValue: inode), InodeNumber(rawValue: parent))
        withName(name, request) { name in
            answerKnowing(inode, request) { [operations] reply in
                Self.answerEntry(reply, operations) { () throws(Errno) in
                    try operations.makeHardLink(name, in: parent, to: inode)
                }
            }
        }
    }

    /// mknod(2): EPERM for directories. The kernel has asked for the right to make devices.
    func makeNode(
        _ request: KernelRequest,
        parent: fuse_ino_t,
        name: UnsafePointer<CChar>?,
        mode: mode_t,
        device: dev_t
    ) {
        let mode = mode & mode_t(S_IFMT) == 0 ? mode | mode_t(S_IFREG) : mode
        guard let kind = InodeKind(mode: mode), kind != .directory, kind != .symbolicLink else {
            return RequestReply(request).fail(.notPermitted)
        }
        answerEntry(request, name) { name throws(Errno) in
            try operations.makeNode(
                name,
                in: InodeNumber(rawValue: parent),
                kind: kind,
                device: kind.isDevice ? UInt64(device) : 0,
                permissions: UInt16(mode & 0o7777),
                caller: request.caller
            )
        }
    }

    func makeDirectory(_ request: KernelRequest, parent: fuse_ino_t, name: UnsafePointer<CChar>?, mode: mode_t) {
        answerEntry(request, name) { name throws(Errno) in
            try operations.makeDirectory(
                name,
                in: InodeNumber(rawValue: parent),
                permissions: UInt16(mode & 0o7777),
                caller: request.caller
            )
        }
    }

    func unlink(_ request: KernelRequest, parent: fuse_ino_t, name: UnsafePointer<CChar>?) {
        guard let name else { return RequestReply(request).fail(.invalidArgument) }
        withName(name, request) { name in
            answer(request) { () throws(Errno) in try operations.unlink(name, in: InodeNumber(rawValue: parent)) }
        }
    }

    func removeDirectory(_ request: KernelRequest, parent: fuse_ino_t, name: UnsafePointer<CChar>?) {
        guard let name else { return RequestReply(request).fail(.invalidArgument) }
        withName(name, request) { name in
            answerLater(
                request,
                send: Self.sendOutcome,
                operation: { operations.removeDirectory(name, in: InodeNumber(rawValue: parent), reply: $0) }
            )
        }
    }

    func rename(
        _ request: KernelRequest,
        parent: fuse_ino_t,
        name: UnsafePointer<CChar>?,
        newParent: fuse_ino_t,
        newName: UnsafePointer<CChar>?,
        flags: UInt32
    ) {
        guard let name, let newName, flags & ~(RenameFlags.noReplace.rawValue | RenameFlags.exchange.rawValue) == 0
        else { return RequestReply(request).fail(.invalidArgument) }
        withName(name, request) { name in
            withName(newName, request) { newName in
                answerLater(
                    request,
                    send: Self.sendOutcome,
                    operation: {
                        operations.rename(
                            name,
                            in: InodeNumber(rawValue: parent),
                            to: newName,
                            in: InodeNumber(rawValue: newParent),
                            flags: RenameFlags(rawValue: flags),
                            reply: $0
                        )
                    }
                )
            }
        }
    }

    @Sendable private static func sendOutcome(_ reply: consuming RequestReply, _ result: Result<Void, Errno>) -> Bool {
        switch result {
        case .success: reply.succeed()
        case .failure(let errno): reply.fail(errno)
        }
        return true
    }

    /// Makes a name and answers with its entry, for which the kernel takes a reference.
    private func answerEntry(
        _ request: KernelRequest,
        _ name: UnsafePointer<CChar>?,
        _ make: (FileName) throws(Errno) -> Entry
    ) {
        guard let name else { return RequestReply(request).fail(.invalidArgument) }
        withName(name, request) { name in
            Self.answerEntry(RequestReply(request), operations) { () throws(Errno) in try make(name) }
        }
    }

    private static func answerEntry(
        _ reply: consuming RequestReply,
        _ operations: any FileSystemOperations,
        _ make: () throws(Errno) -> Entry
    ) {
        switch Result(catching: make) {
        case .success(let entry):
            if !reply.entry(entry) { operations.forget(entry.attributes.inode, count: 1) }
        case .failure(let errno): reply.fail(errno)
        }
    }
}

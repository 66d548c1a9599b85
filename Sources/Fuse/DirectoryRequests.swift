import CFuse
import Cache
import FileSystem
import SystemPackage

// Requests about open directories.

extension FuseSession {
    func openDirectory(
        _ request: KernelRequest,
        inode: fuse_ino_t,
        _ information: UnsafeMutablePointer<fuse_file_info>?
    ) {
        answerLater(
            request,
            send: { reply, result in
                switch result {
                case .success(let handle):
                    var answer = fuse_file_info()
                    answer.fh = handle.rawValue
                    return reply.opened(answer)
                case .failure(let errno): reply.fail(errno)
                }
                return false
            },
            giveBack: { [operations] handle in operations.releaseDirectory(handle) },
            operation: { operations.openDirectory(InodeNumber(rawValue: inode), reply: $0) }
        )
    }

    func readDirectory(
        _ request: KernelRequest,
        size: Int,
        offset: Int,
        _ information: UnsafeMutablePointer<fuse_file_info>?,
        withAttributes: Bool
    ) {
        let reply = RequestReply(request)
        guard let handle = Self.handle(information) else { return reply.fail(.badFileDescriptor) }
        guard let memory = sluice_fuse_thread_buffer(size) else { return reply.fail(.noMemory) }
        var page = DirectoryPage(
            request: request,
            memory: UnsafeMutableRawBufferPointer(start: memory, count: size),
            withAttributes: withAttributes
        )
        let result = Result { () throws(Errno) in
            try operations.readDirectory(handle, offset: Int64(offset), withAttributes: withAttributes) { entry in
                page.append(entry)
            }
        }
        switch result {
        case .success:
            if !reply.bytes(page.filled) { giveBack(page.references) }
        case .failure(let errno):
            giveBack(page.references)
            reply.fail(errno)
        }
    }

    func synchronizeDirectory(_ request: KernelRequest, _ information: UnsafeMutablePointer<fuse_file_info>?) {
        guard let handle = Self.handle(information) else { return RequestReply(request).fail(.badFileDescriptor) }
        answer(request) { () throws(Errno) in try operations.synchronizeDirectory(handle) }
    }

    func releaseDirectory(_ request: KernelRequest, _ information: UnsafeMutablePointer<fuse_file_info>?) {
        if let handle = Self.handle(information) { operations.releaseDirectory(handle) }
        RequestReply(request).succeed()
    }

    private func giveBack(_ references: [InodeNumber]) {
        for inode in references { operations.forget(inode, count: 1) }
    }
}

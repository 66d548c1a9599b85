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
        guard let handle = Self.handle(information) else { return RequestReply(request).fail(.badFileDescriptor) }
        let page = PageRequest(handle: handle, size: size, offset: Int64(offset), withAttributes: withAttributes)
        answerLater(
            request,
            send: { [self] reply, result in
                switch result {
                case .success: send(page, to: request, reply)
                case .failure(let errno): reply.fail(errno)
                }
                return true
            },
            operation: { operations.awaitEntries(handle, offset: page.offset, reply: $0) }
        )
    }

    private struct PageRequest {
        var handle: HandleNumber
        /// Bytes that the kernel has room for.
        var size: Int
        var offset: Int64
        var withAttributes: Bool
    }

    private func send(_ asked: PageRequest, to request: KernelRequest, _ reply: consuming RequestReply) {
        guard let memory = sluice_fuse_thread_buffer(asked.size) else { return reply.fail(.noMemory) }
        var page = DirectoryPage(
            request: request,
            memory: UnsafeMutableRawBufferPointer(start: memory, count: asked.size),
            withAttributes: asked.withAttributes
        )
        let result = Result { () throws(Errno) in
            try operations.readDirectory(
                asked.handle,
                offset: asked.offset,
                withAttributes: asked.withAttributes
            ) { page.append($0) }
        }
        if case .failure(let errno) = result, page.filled.isEmpty { return reply.fail(errno) }
        // What was found before an error is given first: the next request meets the error.
        if !reply.bytes(page.filled) {
            for inode in page.references { operations.forget(inode, count: 1) }
        }
        operations.readAhead(inDirectory: asked.handle)
    }

    func synchronizeDirectory(_ request: KernelRequest, _ information: UnsafeMutablePointer<fuse_file_info>?) {
        guard let handle = Self.handle(information) else { return RequestReply(request).fail(.badFileDescriptor) }
        answer(request) { () throws(Errno) in try operations.synchronizeDirectory(handle) }
    }

    func releaseDirectory(_ request: KernelRequest, _ information: UnsafeMutablePointer<fuse_file_info>?) {
        if let handle = Self.handle(information) { operations.releaseDirectory(handle) }
        RequestReply(request).succeed()
    }
}

import CFuse
import Cache
import FileSystem
import SystemPackage

// Requests about open files: create, open, read, write, fsync, release.

extension FuseSession {
    func create(
        _ request: KernelRequest,
        parent: fuse_ino_t,
        name: UnsafePointer<CChar>?,
        mode: mode_t,
        _ information: UnsafeMutablePointer<fuse_file_info>?
    ) {
        let reply = RequestReply(request)
        guard let name, let information else { return reply.fail(.invalidArgument) }
        let openMode = OpenMode(flags: information.pointee.flags)
        let result = Result { () throws(Errno) in
            try operations.create(
                try FileName(kernelName: name),
                in: InodeNumber(rawValue: parent),
                permissions: UInt16(mode & 0o7777),
                mode: openMode,
                caller: request.caller
            )
        }
        switch result {
        case .success((let entry, let file)):
            let isTaken =
                if let backing = file.backing {
                    reply.created(entry, file.handle, backing)
                } else {
                    reply.created(entry, describe(file, from: information.pointee))
                }
            if !isTaken {
                operations.release(file.handle)
                operations.forget(entry.attributes.inode, count: 1)
            }
        case .failure(let errno): reply.fail(errno)
        }
    }

    func open(_ request: KernelRequest, inode: fuse_ino_t, _ information: UnsafeMutablePointer<fuse_file_info>?) {
        guard let information else { return RequestReply(request).fail(.invalidArgument) }
        let given = OpenInformation(information.pointee)
        let mode = OpenMode(flags: given.value.flags)
        answerLater(
            request,
            send: { reply, result in
                switch result {
                case .success(let file):
                    if let backing = file.backing { return reply.opened(file.handle, backing) }
                    return reply.opened(self.describe(file, from: given.value))
                case .failure(let errno): reply.fail(errno)
                }
                return false
            },
            giveBack: { [operations] file in operations.release(file.handle) },
            operation: { operations.open(InodeNumber(rawValue: inode), mode: mode, reply: $0) }
        )
    }

    func read(
        _ request: KernelRequest,
        size: Int,
        offset: Int,
        _ information: UnsafeMutablePointer<fuse_file_info>?
    ) {
        guard let information else { return RequestReply(request).fail(.badFileDescriptor) }
        let handle = HandleNumber(rawValue: information.pointee.fh)
        answerLater(
            request,
            send: { reply, result in
                switch result {
                case .success(let bytes): reply.found(bytes)
                case .failure(let errno): reply.fail(errno)
                }
                return true
            },
            operation: { operations.read(handle, offset: Int64(offset), count: size, reply: $0) }
        )
    }

    /// The bytes go from the request to the local file without a stop in between.
    func write(
        _ request: KernelRequest,
        buffer: UnsafeMutablePointer<fuse_bufvec>?,
        offset: Int,
        _ information: UnsafeMutablePointer<fuse_file_info>?
    ) {
        guard let buffer, let information else { return RequestReply(request).fail(.badFileDescriptor) }
        let handle = HandleNumber(rawValue: information.pointee.fh)
        let size = fuse_buf_size(buffer)
        let result = Result { () throws(Errno) in
            try operations.write(
                handle,
                offset: Int64(offset),
                count: size
            ) { descriptor, offset throws(Errno) in
                let moved = sluice_fuse_copy_to_descriptor(buffer, size, descriptor, Int(offset))
                guard moved >= 0 else { throw Errno(rawValue: Int32(-moved)) }
                return moved
            }
        }
        switch result {
        case .success(let written?) where written == size: RequestReply(request).written(written)
        case .success(let written):
            writeRest(request, of: buffer, size, behind: written ?? 0, handle, offset: Int64(offset))
        case .failure(let errno): RequestReply(request).fail(errno)
        }
    }

    /// Writes what had no room behind the first `written` bytes of a request. The request's memory belongs to the thread,
    /// which has other requests to take: the bytes are copied out of it.
    private func writeRest(
        _ request: KernelRequest,
        of buffer: UnsafeMutablePointer<fuse_bufvec>,
        _ size: Int,
        behind written: Int,
        _ handle: HandleNumber,
        offset: Int64
    ) {
        let bytes = [UInt8](unsafeUninitializedCapacity: size - written) { memory, filled in
            filled = max(0, sluice_fuse_copy_to_memory(buffer, size - written, memory.baseAddress))
        }
        guard bytes.count == size - written else {
            return written > 0 ? RequestReply(request).written(written) : RequestReply(request).fail(.ioError)
        }
        answerWithCount(request) { reply in
            operations.writeWhenRoom(handle, offset: offset + Int64(written), bytes) { result in
                reply(written > 0 ? .success(written + ((try? result.get()) ?? 0)) : result)
            }
        }
    }

    /// Runs an operation that answers with a count of bytes and may have to wait for space.
    func answerWithCount(
        _ request: KernelRequest, operation: (@escaping Reply<Int>) -> (any PendingOperation)?
    ) {
        answerLater(
            request,
            send: { reply, result in
                switch result {
                case .success(let count): reply.written(count)
                case .failure(let errno): reply.fail(errno)
                }
                return true
            },
            operation: operation
        )
    }

    func synchronize(
        _ request: KernelRequest,
        dataOnly: Bool,
        _ information: UnsafeMutablePointer<fuse_file_info>?
    ) {
        guard let handle = Self.handle(information) else { return RequestReply(request).fail(.badFileDescriptor) }
        answer(request) { () throws(Errno) in try operations.synchronize(handle, dataOnly: dataOnly) }
    }

    func release(_ request: KernelRequest, _ information: UnsafeMutablePointer<fuse_file_info>?) {
        if let handle = Self.handle(information) { operations.release(handle) }
        RequestReply(request).succeed()
    }

    static func handle(_ information: UnsafeMutablePointer<fuse_file_info>?) -> HandleNumber? {
        information.map { HandleNumber(rawValue: $0.pointee.fh) }
    }

    /// All bytes go through the page cache. FOPEN_DIRECT_IO for handles that only write would save a copy, but who reads
    /// what another appends is then shown zeros now and then: a page that the kernel gave up while it was being read.
    private func describe(_ file: OpenedFile, from given: fuse_file_info) -> fuse_file_info {
        var answer = given
        answer.fh = file.handle.rawValue
        answer.keep_cache = file.keepsKernelCache ? 1 : 0
        return answer
    }
}

/// What the kernel said at open, kept until the answer.
///
/// SAFETY: a plain value; the C structure holds no pointers.
private struct OpenInformation: @unchecked Sendable {
    let value: fuse_file_info

    init(_ value: fuse_file_info) {
        self.value = value
    }
}

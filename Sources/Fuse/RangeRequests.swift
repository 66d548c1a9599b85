import CFuse
import CLinux
import Cache
import FileSystem
import Platform
import SystemPackage

// Requests about ranges of open files: fallocate, lseek, copy_file_range.
//
// Of each of these the kernel takes ENOSYS for "never again", for the whole mount: where the local disk answers so, the
// program gets EOPNOTSUPP.

extension FuseSession {
    func allocate(
        _ request: KernelRequest,
        flags: Int32,
        offset: Int,
        length: Int,
        _ information: UnsafeMutablePointer<fuse_file_info>?
    ) {
        guard let handle = Self.handle(information) else { return RequestReply(request).fail(.badFileDescriptor) }
        guard let allocation = Allocation(flags: flags) else { return RequestReply(request).fail(.notSupported) }
        answerLater(
            request,
            send: { reply, result in
                switch result {
                case .success: reply.succeed()
                case .failure(let errno): reply.fail(Self.neverENOSYS(errno))
                }
                return true
            },
            operation: {
                operations.allocate(handle, offset: Int64(offset), length: Int64(length), allocation, reply: $0)
            }
        )
    }

    func seek(
        _ request: KernelRequest,
        offset: Int,
        whence: Int32,
        _ information: UnsafeMutablePointer<fuse_file_info>?
    ) {
        let reply = RequestReply(request)
        guard let handle = Self.handle(information) else { return reply.fail(.badFileDescriptor) }
        guard let goal = SparseSeek(whence: whence) else { return reply.fail(.invalidArgument) }
        switch Result(catching: { () throws(Errno) in try operations.seek(handle, goal, from: Int64(offset)) }) {
        case .success(let position): reply.position(position)
        case .failure(let errno): reply.fail(Self.neverENOSYS(errno))
        }
    }

    /// On EOPNOTSUPP the kernel reads and writes instead.
    func copy(
        _ request: KernelRequest,
        from source: UnsafeMutablePointer<fuse_file_info>?,
        at sourceOffset: Int,
        to target: UnsafeMutablePointer<fuse_file_info>?,
        at targetOffset: Int,
        count: Int,
        flags: Int32
    ) {
        guard let source = Self.handle(source), let target = Self.handle(target) else {
            return RequestReply(request).fail(.badFileDescriptor)
        }
        guard flags == 0 else { return RequestReply(request).fail(.invalidArgument) }
        answerWithCount(request) { reply in
            operations.copy(
                from: source,
                at: Int64(sourceOffset),
                to: target,
                at: Int64(targetOffset),
                count: count
            ) { reply($0.mapError(Self.neverENOSYS)) }
        }
    }

    private static func neverENOSYS(_ errno: Errno) -> Errno { errno == .noFunction ? .notSupported : errno }
}

extension Allocation {
    /// From the FALLOC_FL_… flags of fallocate(2); nil for those that no bucket or not every disk can hold.
    init?(flags: Int32) {
        let keepsSize = flags & sluice_keep_size() != 0
        switch flags & ~sluice_keep_size() {
        case 0: self = .reserve(keepsSize: keepsSize)
        case sluice_zero_range(): self = .zero(keepsSize: keepsSize)
        case sluice_punch_hole() where keepsSize: self = .punchHole
        default: return nil
        }
    }
}

extension SparseSeek {
    init?(whence: Int32) {
        switch whence {
        case sluice_seek_data(): self = .data
        case sluice_seek_hole(): self = .hole
        default: return nil
        }
    }
}

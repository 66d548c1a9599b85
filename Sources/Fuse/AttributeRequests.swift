import CFuse
import Cache
import FileSystem
import SystemPackage

// Requests about attributes, of inodes and of the file system.

extension FuseSession {
    func attributes(_ request: KernelRequest, inode: fuse_ino_t) {
        Self.answerAttributes(RequestReply(request)) { () throws(Errno) in
            try operations.attributes(of: InodeNumber(rawValue: inode))
        }
    }

    func setAttributes(
        _ request: KernelRequest,
        inode: fuse_ino_t,
        status: UnsafeMutablePointer<stat>?,
        valid: Int32
    ) {
        guard let status else { return RequestReply(request).fail(.invalidArgument) }
        let change = AttributeChange(status.pointee, valid: valid)
        let (inode, caller) = (InodeNumber(rawValue: inode), request.caller)
        answerKnowing(inode, request) { [operations] reply in
            Self.answerAttributes(reply) { () throws(Errno) in
                try operations.setAttributes(of: inode, change, caller: caller)
            }
        }
    }

    func statistics(_ request: KernelRequest) {
        let reply = RequestReply(request)
        switch Result(catching: operations.statistics) {
        case .success(let statistics): reply.statistics(statistics)
        case .failure(let errno): reply.fail(errno)
        }
    }

    private static func answerAttributes(
        _ reply: consuming RequestReply,
        _ operation: () throws(Errno) -> (FileAttributes, timeToLive: Duration)
    ) {
        switch Result(catching: operation) {
        case .success((let attributes, let timeToLive)): reply.attributes(attributes, timeToLive: timeToLive)
        case .failure(let errno): reply.fail(errno)
        }
    }
}

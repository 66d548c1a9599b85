import CFuse
import Cache
import FileSystem
import SystemPackage

// Requests about extended attributes (xattr(7)).

extension FuseSession {
    func extendedAttribute(
        _ request: KernelRequest,
        inode: fuse_ino_t,
        name: UnsafePointer<CChar>?,
        capacity: Int
    ) {
        let inode = InodeNumber(rawValue: inode)
        withAttributeName(name, request) { name in
            answerKnowing(inode, extended: name, request) { [operations] reply in
                Self.answerValue(reply, capacity: capacity) { () throws(Errno) in
                    try operations.extendedAttribute(name, of: inode)
                }
            }
        }
    }

    func extendedAttributeNames(_ request: KernelRequest, inode: fuse_ino_t, capacity: Int) {
        let inode = InodeNumber(rawValue: inode)
        answerKnowing(inode, request) { [operations] reply in
            Self.answerValue(reply, capacity: capacity) { () throws(Errno) in
                try operations.extendedAttributeNames(of: inode).flatMap { Array($0.utf8) + [0] }
            }
        }
    }

    func setExtendedAttribute(
        _ request: KernelRequest,
        inode: fuse_ino_t,
        name: UnsafePointer<CChar>?,
        value: UnsafeRawBufferPointer,
        flags: Int32
    ) {
        let (inode, value) = (InodeNumber(rawValue: inode), Array(value))
        guard let mode = ExtendedAttributeMode(flags) else { return RequestReply(request).fail(.invalidArgument) }
        withAttributeName(name, request) { name in
            answerKnowing(inode, extended: name, request) { [operations] reply in
                reply.outcome { () throws(Errno) in
                    try operations.setExtendedAttribute(name, to: value, of: inode, mode: mode)
                }
            }
        }
    }

    func removeExtendedAttribute(_ request: KernelRequest, inode: fuse_ino_t, name: UnsafePointer<CChar>?) {
        let inode = InodeNumber(rawValue: inode)
        withAttributeName(name, request) { name in
            answerKnowing(inode, extended: name, request) { [operations] reply in
                reply.outcome { () throws(Errno) in try operations.removeExtendedAttribute(name, of: inode) }
            }
        }
    }

    private static func answerValue(
        _ reply: consuming RequestReply,
        capacity: Int,
        _ value: () throws(Errno) -> [UInt8]
    ) {
        switch Result(catching: value) {
        case .success(let value): reply.attributeValue(value, capacity: capacity)
        case .failure(let errno): reply.fail(errno)
        }
    }

    private func withAttributeName(
        _ raw: UnsafePointer<CChar>?,
        _ request: KernelRequest,
        _ body: (String) -> Void
    ) {
        guard let raw, let name = String(validatingCString: raw) else {
            return RequestReply(request).fail(.illegalByteSequence)
        }
        body(name)
    }
}

extension ExtendedAttributeMode {
    /// Nil for flags that setxattr(2) does not have.
    fileprivate init?(_ flags: Int32) {
        switch flags {
        case 0: self = .createOrReplace
        case 1: self = .create
        case 2: self = .replace
        default: return nil
        }
    }
}

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
        answerValue(request, capacity: capacity) { () throws(Errno) in
            try operations.extendedAttribute(try Self.attributeName(name), of: InodeNumber(rawValue: inode))
        }
    }

    func extendedAttributeNames(_ request: KernelRequest, inode: fuse_ino_t, capacity: Int) {
        answerValue(request, capacity: capacity) { () throws(Errno) in
            let names = try operations.extendedAttributeNames(of: InodeNumber(rawValue: inode))
            return names.flatMap { Array($0.utf8) + [0] }
        }
    }

    func setExtendedAttribute(
        _ request: KernelRequest,
        inode: fuse_ino_t,
        name: UnsafePointer<CChar>?,
        value: UnsafeRawBufferPointer,
        flags: Int32
    ) {
        answer(request) { () throws(Errno) in
            try operations.setExtendedAttribute(
                try Self.attributeName(name),
                to: Array(value),
                of: InodeNumber(rawValue: inode),
                mode: try Self.mode(flags)
            )
        }
    }

    func removeExtendedAttribute(_ request: KernelRequest, inode: fuse_ino_t, name: UnsafePointer<CChar>?) {
        answer(request) { () throws(Errno) in
            try operations.removeExtendedAttribute(try Self.attributeName(name), of: InodeNumber(rawValue: inode))
        }
    }

    private func answerValue(_ request: KernelRequest, capacity: Int, _ value: () throws(Errno) -> [UInt8]) {
        let reply = RequestReply(request)
        switch Result(catching: value) {
        case .success(let value): reply.attributeValue(value, capacity: capacity)
        case .failure(let errno): reply.fail(errno)
        }
    }

    private static func attributeName(_ raw: UnsafePointer<CChar>?) throws(Errno) -> String {
        guard let raw, let name = String(validatingCString: raw) else { throw .illegalByteSequence }
        return name
    }

    private static func mode(_ flags: Int32) throws(Errno) -> ExtendedAttributeMode {
        switch flags {
        case 0: .createOrReplace
        case 1: .create
        case 2: .replace
        default: throw .invalidArgument
        }
    }
}

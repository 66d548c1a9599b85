import CFuse
import FileSystem

/// A request of the kernel that is not answered yet.
///
/// SAFETY: libfuse lets any thread answer a request (its list of requests is behind a lock of the session). Whoever
/// holds this value after the answer must not use it: ``RequestReply`` and ``DeferredReply`` see to that.
struct KernelRequest: @unchecked Sendable {
    let raw: fuse_req_t

    init(_ raw: fuse_req_t) {
        self.raw = raw
    }

    /// Names the request among those not answered.
    var identity: UInt { UInt(bitPattern: raw) }

    /// Whether whoever waits for the answer was interrupted.
    var isInterrupted: Bool { fuse_req_interrupted(raw) != 0 }

    var caller: Caller {
        let context = fuse_req_ctx(raw).pointee
        return Caller(
            userID: context.uid,
            groupID: context.gid,
            processID: context.pid,
            umask: UInt16(truncatingIfNeeded: context.umask)
        )
    }
}

import CFuse
import FileSystem
import SystemPackage

/// The right to answer one request: used up by the answer, so that the compiler keeps a second one away. Given up
/// without an answer, it answers EIO.
///
/// The methods that hand something over return whether the kernel took it; if not (it gave the request up), what
/// was handed over belongs to the caller again.
struct RequestReply: ~Copyable {
    private let request: fuse_req_t

    init(_ request: KernelRequest) {
        self.request = request.raw
    }

    deinit {
        fuse_reply_err(request, EIO)
    }

    private consuming func use() -> fuse_req_t {
        let request = request
        discard self
        return request
    }

    consuming func fail(_ errno: Errno) {
        fuse_reply_err(use(), errno.rawValue)
    }

    consuming func succeed() {
        fuse_reply_err(use(), 0)
    }

    /// Of an operation whose answer carries nothing.
    consuming func outcome(_ operation: () throws(Errno) -> Void) {
        switch Result(catching: operation) {
        case .success: succeed()
        case .failure(let errno): fail(errno)
        }
    }

    /// For requests that expect no answer (forget).
    consuming func nothing() {
        fuse_reply_none(use())
    }

    consuming func entry(_ entry: Entry) -> Bool {
        var parameters = fuse_entry_param(entry)
        return fuse_reply_entry(use(), &parameters) == 0
    }

    /// A name that does not exist, which the kernel may remember.
    consuming func noEntry(timeToLive: Duration) {
        guard timeToLive > .zero else { return fail(.noSuchFileOrDirectory) }
        var parameters = fuse_entry_param()
        parameters.entry_timeout = timeToLive.inSeconds
        fuse_reply_entry(use(), &parameters)
    }

    consuming func attributes(_ attributes: FileAttributes, timeToLive: Duration) {
        var status = stat(attributes)
        fuse_reply_attr(use(), &status, timeToLive.inSeconds)
    }

    consuming func symbolicLink(_ target: String) {
        fuse_reply_readlink(use(), kernelString(target))
    }

    consuming func opened(_ information: fuse_file_info) -> Bool {
        var information = information
        return fuse_reply_open(use(), &information) == 0
    }

    /// With the number of a file whose bytes the kernel moves by itself.
    consuming func opened(_ handle: HandleNumber, _ backing: BackingNumber) -> Bool {
        sluice_fuse_reply_open_backed(use(), handle.rawValue, backing.rawValue) == 0
    }

    consuming func created(_ entry: Entry, _ information: fuse_file_info) -> Bool {
        var parameters = fuse_entry_param(entry)
        var information = information
        return fuse_reply_create(use(), &parameters, &information) == 0
    }

    consuming func created(_ entry: Entry, _ handle: HandleNumber, _ backing: BackingNumber) -> Bool {
        var parameters = fuse_entry_param(entry)
        return sluice_fuse_reply_create_backed(use(), &parameters, handle.rawValue, backing.rawValue) == 0
    }

    consuming func written(_ count: Int) {
        fuse_reply_write(use(), count)
    }

    /// Where lseek(2) leads.
    consuming func position(_ offset: Int64) {
        fuse_reply_lseek(use(), off_t(offset))
    }

    /// Bytes that were collected in memory.
    @discardableResult
    consuming func bytes(_ bytes: UnsafeRawBufferPointer) -> Bool {
        fuse_reply_buf(use(), bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count) == 0
    }

    consuming func found(_ found: FileBytes) {
        switch found {
        case .region(let region): self.region(region)
        case .memory(let bytes):
            let request = use()
            bytes.withUnsafeBytes { memory in
                _ = fuse_reply_buf(request, memory.baseAddress?.assumingMemoryBound(to: CChar.self), memory.count)
            }
        }
    }

    /// Bytes of a local file. `region.owner` lives until they have moved.
    private consuming func region(_ region: FileRegion) {
        let request = use()
        guard region.count > 0 else {
            fuse_reply_buf(request, nil, 0)
            return
        }
        withExtendedLifetime(region.owner) {
            _ = sluice_fuse_reply_copy(request, region.descriptor, Int(region.offset), region.count)
        }
    }

    consuming func statistics(_ statistics: FileSystemStatistics) {
        var status = statvfs(statistics)
        fuse_reply_statfs(use(), &status)
    }

    /// A value of getxattr(2) or a list of listxattr(2), for a caller with room for `capacity` bytes; 0 asks for
    /// the size.
    consuming func attributeValue(_ value: [UInt8], capacity: Int) {
        if capacity == 0 {
            fuse_reply_xattr(use(), value.count)
        } else if value.count > capacity {
            fail(.outOfRange)
        } else {
            let request = use()
            value.withUnsafeBytes { bytes in
                _ = fuse_reply_buf(request, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
            }
        }
    }
}

import CFuse
import CLinux
import SystemPackage

/// The first request and its answer, in which the kernel and libfuse agree on the protocol; done before any thread
/// starts, so that the mount answers as soon as they do.
///
/// libfuse has no name for FUSE_HANDLE_KILLPRIV_V2, without which the kernel asks for `security.capability` before
/// every write(2); and it never sends FUSE_PARALLEL_DIROPS (seen with 3.14), without which one lookup that waits for
/// the network holds up all others in its directory. So its answer is caught on the way, in a pipe that takes the place
/// of the device, and sent on with those flags, and with that of passthrough, which libfuse knows from 3.17 on. Layouts: include/uapi/linux/fuse.h.
struct InitExchange {
    private static let handleKillPrivilegesV2: UInt64 = 1 << 28
    private static let parallelDirectoryOperations: UInt64 = 1 << 18
    private static let added = handleKillPrivilegesV2 | parallelDirectoryOperations
    /// FUSE_INIT_EXT: there is a second word of flags.
    private static let hasMoreFlags: UInt64 = 1 << 30
    /// FUSE_PASSTHROUGH: see ``FusePassthrough``.
    private static let passthrough: UInt64 = 1 << 37
    /// Without a file system in between: overlayfs over the mount still works.
    private static let stackDepth: UInt32 = 1
    /// Of fields in the request (`fuse_in_header`, `fuse_init_in`) and in the answer (`fuse_out_header`,
    /// `fuse_init_out`), in bytes.
    private static let requestFlagsOffsets = [40 + 12, 40 + 16]
    private static let answerFlagsOffsets = [16 + 12, 16 + 32]
    private static let answerStackDepthOffset = 16 + 36

    let session: SessionPointer
    /// Whether passthrough is to be agreed on.
    let wantsPassthrough: Bool

    /// Returns whether the kernel offers what was wanted.
    func perform() throws(Errno) -> Bool {
        var buffer = fuse_buf()
        defer { free(buffer.mem) }
        try receive(into: &buffer)
        let offered = Self.flags(
            UnsafeRawBufferPointer(start: buffer.mem, count: buffer.size), Self.requestFlagsOffsets)
        let answer = try catchAnswer { fuse_session_process_buf(session.raw, &buffer) }
        let amended = Self.amended(answer, offered: offered, wantsPassthrough: wantsPassthrough)
        try send(amended)
        return amended.withUnsafeBytes { Self.flags($0, Self.answerFlagsOffsets) } & Self.passthrough != 0
    }

    private func receive(into buffer: inout fuse_buf) throws(Errno) {
        while true {
            let count = fuse_session_receive_buf(session.raw, &buffer)
            if count > 0 { return }
            guard count == -EINTR || count == -EAGAIN else {
                throw count == 0 ? .operationNotSupportedByDevice : Errno(rawValue: -count)
            }
        }
    }

    /// What `body` writes to the device.
    private func catchAnswer(_ body: () -> Void) throws(Errno) -> [UInt8] {
        let device = FileDescriptor(rawValue: fuse_session_fd(session.raw))
        do {
            let kept = try device.duplicate()
            defer { try? kept.close() }
            let pipe = try FileDescriptor.pipe()
            defer { try? pipe.readEnd.close() }
            _ = try pipe.writeEnd.closeAfter { try pipe.writeEnd.duplicate(as: device) }
            body()
            guard sluice_duplicate(kept.rawValue, device.rawValue) >= 0 else { throw Errno(rawValue: sluice_errno()) }
            return try [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
                count = try pipe.readEnd.read(into: UnsafeMutableRawBufferPointer(buffer))
            }
        } catch let error as Errno {
            throw error
        } catch {
            throw .ioError
        }
    }

    private func send(_ answer: [UInt8]) throws(Errno) {
        let device = FileDescriptor(rawValue: fuse_session_fd(session.raw))
        let count = answer.withUnsafeBytes { write(device.rawValue, $0.baseAddress, $0.count) }
        guard count == answer.count else { throw Errno(rawValue: sluice_errno()) }
    }

    /// The answer with those of the flags set that the kernel offers, if it is one of success.
    static func amended(_ answer: [UInt8], offered: UInt64, wantsPassthrough: Bool = false) -> [UInt8] {
        guard answer.count >= answerFlagsOffsets[0] + 4, answer[4..<8].allSatisfy({ $0 == 0 }) else { return answer }
        var answer = answer
        var flags = answer.withUnsafeBytes { Self.flags($0, answerFlagsOffsets) } | offered & added
        let more = hasMoreFlags | passthrough
        if wantsPassthrough && offered & more == more && answer.count >= answerStackDepthOffset + 4 {
            flags |= more
            replace(answerStackDepthOffset, with: stackDepth, in: &answer)
        }
        replace(answerFlagsOffsets[0], with: UInt32(truncatingIfNeeded: flags), in: &answer)
        if flags & hasMoreFlags != 0 { replace(answerFlagsOffsets[1], with: UInt32(flags >> 32), in: &answer) }
        return answer
    }

    private static func replace(_ offset: Int, with value: UInt32, in answer: inout [UInt8]) {
        withUnsafeBytes(of: value) { answer.replaceSubrange(offset..<offset + 4, with: $0) }
    }

    /// The second word counts only if the first says that it is there.
    private static func flags(_ message: UnsafeRawBufferPointer, _ offsets: [Int]) -> UInt64 {
        let words = offsets.map { offset in
            message.count >= offset + 4 ? message.loadUnaligned(fromByteOffset: offset, as: UInt32.self) : 0
        }
        let low = UInt64(words[0])
        return low & hasMoreFlags == 0 ? low : low | UInt64(words[1]) << 32
    }
}

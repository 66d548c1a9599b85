import CFuse
import CLinux
import SystemPackage

/// The first request and its answer, in which the kernel and libfuse agree on the protocol; done before any thread
/// starts, so that the mount answers as soon as they do.
///
/// libfuse has no name for FUSE_HANDLE_KILLPRIV_V2, without which the kernel asks for `security.capability` before
/// every write(2); and it never sends FUSE_PARALLEL_DIROPS (seen with 3.14), without which one lookup that waits for
/// the network holds up all others in its directory. So its answer is caught on the way, in a pipe that takes the place
/// of the device, and sent on with those flags. Layouts: include/uapi/linux/fuse.h.
struct InitExchange {
    private static let handleKillPrivilegesV2: UInt32 = 1 << 28
    private static let parallelDirectoryOperations: UInt32 = 1 << 18
    private static let added = handleKillPrivilegesV2 | parallelDirectoryOperations
    /// Of `flags` in the request (`fuse_in_header`, `fuse_init_in`) and in the answer (`fuse_out_header`,
    /// `fuse_init_out`), in bytes.
    private static let requestFlagsOffset = 40 + 12
    private static let answerFlagsOffset = 16 + 12

    let session: SessionPointer

    func perform() throws(Errno) {
        var buffer = fuse_buf()
        defer { free(buffer.mem) }
        try receive(into: &buffer)
        let offered = Self.flags(UnsafeRawBufferPointer(start: buffer.mem, count: buffer.size), Self.requestFlagsOffset)
        let answer = try catchAnswer { fuse_session_process_buf(session.raw, &buffer) }
        try send(Self.amended(answer, offered: offered))
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
    static func amended(_ answer: [UInt8], offered: UInt32) -> [UInt8] {
        guard answer.count >= answerFlagsOffset + 4,
            answer[4..<8].allSatisfy({ $0 == 0 })
        else { return answer }
        var answer = answer
        let flags = answer.withUnsafeBytes { Self.flags($0, answerFlagsOffset) } | offered & added
        withUnsafeBytes(of: flags) { answer.replaceSubrange(answerFlagsOffset..<answerFlagsOffset + 4, with: $0) }
        return answer
    }

    private static func flags(_ message: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
        guard message.count >= offset + 4 else { return 0 }
        return message.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    }
}

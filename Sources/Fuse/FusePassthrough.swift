import CFuse
import CLinux
import FileSystem
import Logging
import Synchronization
import SystemPackage

/// FUSE passthrough: the kernel moves the bytes of open files straight to and from data files. Linux 6.9 and newer,
/// Documentation/filesystems/fuse/fuse-passthrough.rst.
///
/// Nothing can be registered before a session is mounted and after it ended, nor once the kernel has said that this process
/// may not.
public final class FusePassthrough: KernelPassthrough, Sendable {
    private struct State {
        var session: SessionPointer?
        var obstacle: String? = "there is no mount"
    }

    private let state = Mutex(State())
    private let logger: Logger

    public init(logger: Logger) {
        self.logger = logger
    }

    /// Why nothing goes past this process; nil if files may.
    public var obstacle: String? { state.withLock { $0.obstacle } }

    public var isAvailable: Bool { obstacle == nil }

    func attach(_ session: SessionPointer, isOffered: Bool) {
        state.withLock { state in
            state.session = session
            state.obstacle = isOffered ? nil : Self.isTooOld
        }
        guard isOffered else { return }
        // The kernel asks for the right to do it before it looks at the file.
        if let device = try? FileDescriptor.open("/dev/null", .readOnly, options: .closeOnExec) {
            _ = try? device.closeAfter { if let backing = register(device.rawValue) { unregister(backing) } }
        }
    }

    /// The device is closed when this has returned, and its number may become that of another file.
    func detach() {
        state.withLock { $0 = State() }
    }

    public func register(_ descriptor: Int32) -> BackingNumber? {
        let (number, obstacle) = state.withLock { state -> (Int32, String?) in
            guard let session = state.session, state.obstacle == nil else { return (-EPERM, nil) }
            let number = sluice_fuse_backing_open(fuse_session_fd(session.raw), descriptor)
            if number < 0 { state.obstacle = Self.obstacle(Errno(rawValue: -number)) }
            return (number, state.obstacle)
        }
        if let obstacle { logger.notice("no passthrough", metadata: ["reason": "\(obstacle)"]) }
        return number < 0 ? nil : BackingNumber(rawValue: number)
    }

    public func unregister(_ backing: BackingNumber) {
        state.withLock { state in
            guard let session = state.session else { return }
            _ = sluice_fuse_backing_close(fuse_session_fd(session.raw), backing.rawValue)
        }
    }

    private static let isTooOld = "the kernel does not have it (Linux 6.9 or newer)"
    private static let isForbidden = "it takes root (CAP_SYS_ADMIN) outside of any user namespace"

    /// What keeps from ever registering anything; nil for what concerns one file alone.
    private static func obstacle(_ errno: Errno) -> String? {
        switch errno {
        case .notPermitted: isForbidden
        case .tooManySymbolicLinkLevels: "the state directory is on a file system that lies on others (overlayfs)"
        default: nil
        }
    }

    /// What would keep a mount by this process from it; nil as far as that can be told without one.
    public static var foreseeableObstacle: String? {
        let version = text(of: "/proc/sys/kernel/osrelease").split(whereSeparator: { !$0.isNumber }).prefix(2)
            .compactMap { Int($0) }
        if version.lexicographicallyPrecedes([6, 9]) { return isTooOld }
        return mayAdministrate ? nil : isForbidden
    }

    /// CAP_SYS_ADMIN in the first user namespace (capabilities(7), user_namespaces(7)).
    private static var mayAdministrate: Bool {
        let lines = text(of: "/proc/self/status").split(separator: "\n")
        let capabilities = lines.first { $0.hasPrefix("CapEff:") }?.split(whereSeparator: \.isWhitespace).last
        let mask = capabilities.flatMap { UInt64($0, radix: 16) } ?? 0
        let users = text(of: "/proc/self/uid_map").split(whereSeparator: \.isWhitespace)
        return mask & 1 << 21 != 0 && users == ["0", "0", "4294967295"]
    }

    private static func text(of path: String) -> String {
        guard let file = try? FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec) else { return "" }
        let bytes = try? file.closeAfter {
            try [UInt8](unsafeUninitializedCapacity: 8192) { buffer, count in
                count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
            }
        }
        return String(decoding: bytes ?? [], as: UTF8.self)
    }
}

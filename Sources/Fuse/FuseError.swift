import SystemPackage

/// Why a directory could not be mounted: each is one sentence for a person and says what to do.
public enum FuseError: Error, Equatable, Sendable, CustomStringConvertible {
    case noDevice
    case deviceForbidden
    case noHelper
    case allowOtherForbidden
    case mountPointMissing(String)
    case mountPointUnreadable(String, Errno)
    /// fusermount3 lets a user mount only where he may write.
    case mountPointForbidden(String)
    case notADirectory(String)
    case notEmpty(String)
    case alreadyMounted(String, source: String, type: String)
    case deadMount(String)
    /// What libfuse said.
    case mountRefused(String, detail: String)
    case badOptions(detail: String)
    case handshake(Errno)
    case thread(Errno)

    public var description: String {
        switch self {
        case .noDevice:
            "/dev/fuse does not exist: load the module with `modprobe fuse`, or start the container with "
                + "`--device /dev/fuse --cap-add SYS_ADMIN`"
        case .deviceForbidden:
            "/dev/fuse may be opened by root alone here: let all users open it with `chmod 666 /dev/fuse`, as udev does, "
                + "or mount as root"
        case .noHelper:
            "mounting without root needs the program fusermount3: install the package fuse3, or mount as root"
        case .allowOtherForbidden:
            "allow_other without root needs the line user_allow_other in /etc/fuse.conf"
        case .mountPointMissing(let path):
            "mount point \(path) does not exist: make it with `mkdir -p \(path)`"
        case .mountPointUnreadable(let path, let errno):
            "mount point \(path) cannot be opened (\(errno)): check its owner and permissions"
        case .mountPointForbidden(let path):
            "you may not write in the mount point \(path): name a directory of your own, or mount as root"
        case .notADirectory(let path):
            "mount point \(path) is not a directory: name an empty directory"
        case .notEmpty(let path):
            "mount point \(path) is not empty: name an empty directory, what is in this one would be hidden"
        case .alreadyMounted(let path, let source, let type):
            "\(path) is already a mount point (\(source), type \(type)): unmount it first or name another directory"
        case .deadMount(let path):
            "\(path) is the mount of a process that has ended: release it with `umount -l \(path)` or "
                + "`fusermount3 -uz \(path)`, then mount again"
        case .mountRefused(let path, let detail):
            "the system refused to mount \(path): \(detail)"
        case .badOptions(let detail):
            "the mount options were refused: \(detail)"
        case .handshake(let errno):
            "the kernel ended the FUSE connection during the handshake (\(errno)): see the kernel log"
        case .thread(let errno):
            "a request thread could not be started (\(errno)): raise the limit of processes"
        }
    }
}

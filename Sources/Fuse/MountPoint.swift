import CLinux
import Glibc
import SystemPackage

/// The directory to mount on, checked before libfuse is asked, whose own messages are terse.
struct MountPoint {
    /// Absolute, without symbolic links.
    let path: String

    /// Throws what a person has to put right first; changes nothing.
    init(checking path: String, options: MountOptions) throws(FuseError) {
        try Self.checkSystem(options)
        self.path = try Self.resolve(path)
        try checkNotMounted()
        try checkEmpty()
        if access(self.path, W_OK) != 0, geteuid() != 0 { throw .mountPointForbidden(self.path) }
    }

    static func checkSystem(_ options: MountOptions) throws(FuseError) {
        guard access("/dev/fuse", F_OK) == 0 else { throw .noDevice }
        guard geteuid() != 0 else { return }
        guard access("/dev/fuse", R_OK | W_OK) == 0 else { throw .deviceForbidden }
        let places = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin"]
        guard places.contains(where: { access($0 + "/fusermount3", X_OK) == 0 }) else { throw .noHelper }
        if options.allowOther, !othersMayBeAllowed() { throw .allowOtherForbidden }
    }

    /// fuse(8): a line with just this word.
    private static func othersMayBeAllowed() -> Bool {
        guard let text = try? readSmallFile("/etc/fuse.conf") else { return false }
        return text.split(separator: "\n").contains { line in
            line.split(separator: " ").elementsEqual(["user_allow_other"])
        }
    }

    private static func resolve(_ path: String) throws(FuseError) -> String {
        guard let resolved = realpath(path, nil) else {
            switch Errno(rawValue: sluice_errno()) {
            case .noSuchFileOrDirectory: throw .mountPointMissing(path)
            case .notDirectory: throw .notADirectory(path)
            case .socketNotConnected: throw .deadMount(path)
            case let errno: throw .mountPointUnreadable(path, errno)
            }
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private func checkNotMounted() throws(FuseError) {
        let table: MountTable
        do { table = try .current() } catch { throw .mountPointUnreadable("/proc/self/mountinfo", error) }
        guard let mount = table.mount(at: path) else { return }
        var status = stat()
        if stat(path, &status) != 0, sluice_errno() == ENOTCONN { throw .deadMount(path) }
        throw .alreadyMounted(path, source: mount.source, type: mount.type)
    }

    private func checkEmpty() throws(FuseError) {
        guard let stream = opendir(path) else {
            let errno = Errno(rawValue: sluice_errno())
            throw errno == .notDirectory ? .notADirectory(path) : .mountPointUnreadable(path, errno)
        }
        defer { closedir(stream) }
        var count = 0
        while readdir(stream) != nil { count += 1 }
        if count > 2 { throw .notEmpty(path) }
    }
}

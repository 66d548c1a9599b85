import CLinux
import Logging
import SystemPackage

/// How far the kernel reads ahead in files of the mount. Its default of 128 KiB makes requests of that size at most;
/// the protocol can only lower it.
enum ReadAhead {
    /// One request of the largest size.
    private static let kilobytes = MountOptions.maximumTransfer / 1024

    /// Works for root alone; without it reading is slower, not wrong.
    static func raise(for mountPoint: String, logger: Logger) {
        guard let device = try? MountTable.current().mount(at: mountPoint)?.device else { return }
        let setting = "/sys/class/bdi/\(device)/read_ahead_kb"
        do {
            let file = try FileDescriptor.open(FilePath(setting), .writeOnly, options: .closeOnExec)
            try file.closeAfter { _ = try file.writeAll("\(kilobytes)".utf8) }
        } catch {
            logger.debug("read-ahead of the kernel stays", metadata: ["setting": "\(setting)", "error": "\(error)"])
        }
    }
}

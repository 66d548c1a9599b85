import Foundation
import Fuse

/// The processes that keep a mount from being unmounted, from `/proc` alone: the mount itself is asked nothing, as its
/// daemon may not answer. Of other users' processes only root learns.
struct MountHolders {
    struct Holder: Equatable {
        var processID: Int
        var name: String
    }

    /// As many are named.
    private static let shownCount = 8

    let holders: [Holder]

    /// In the order of their ids.
    init(of mountPoint: String) {
        guard let mount = try? MountTable.current().mount(at: mountPoint) else {
            holders = []
            return
        }
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        holders = entries.compactMap { Int($0) }.sorted()
            .filter { Self.holds(mount, "/proc/\($0)") }
            .map { Holder(processID: $0, name: Self.name("/proc/\($0)")) }
    }

    /// Nil if none is known.
    var text: String? {
        guard !holders.isEmpty else { return nil }
        let shown = holders.prefix(Self.shownCount).map { "\($0.name) (process \($0.processID))" }
        let rest = holders.count - shown.count
        return shown.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }

    private static func holds(_ mount: MountTable.Mount, _ process: String) -> Bool {
        isOpen(mount, process) || worksIn(mount.mountPoint, process) || maps(mount.device, process)
    }

    /// proc_pid_fdinfo(5): the mount of each open file.
    private static func isOpen(_ mount: MountTable.Mount, _ process: String) -> Bool {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: process + "/fdinfo")) ?? []
        return files.contains { file in
            text(process + "/fdinfo/" + file).split(separator: "\n").contains { line in
                line.hasPrefix("mnt_id:") && Int(line.dropFirst(7).trimmingCharacters(in: .whitespaces)) == mount.id
            }
        }
    }

    private static func worksIn(_ mountPoint: String, _ process: String) -> Bool {
        ["cwd", "root", "exe"].contains { link in
            guard let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(process)/\(link)")
            else { return false }
            return path == mountPoint || path.hasPrefix(mountPoint + "/")
        }
    }

    /// proc_pid_maps(5): `address perms offset device inode path`, the device in hexadecimal.
    private static func maps(_ device: String, _ process: String) -> Bool {
        let numbers = device.split(separator: ":").compactMap { Int($0) }
        guard numbers.count == 2 else { return false }
        return text(process + "/maps").split(separator: "\n").contains { line in
            let fields = line.split(separator: " ", maxSplits: 4)
            return fields.count == 5 && fields[3].split(separator: ":").compactMap { Int($0, radix: 16) } == numbers
        }
    }

    private static func name(_ process: String) -> String {
        text(process + "/comm").trimmingCharacters(in: .newlines)
    }

    /// Empty if it cannot be read: the process has ended, or is another user's.
    private static func text(_ path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}

import CLinux
import Cache
import Foundation
import Fuse

/// What a mount needs of this machine: FUSE, and a place for the state directory. Creates nothing.
struct MachineCheck {
    let settings: Settings
    let identity: String
    let environment: [String: String]

    func run(_ report: inout CheckReport) {
        checkFuse(&report)
        checkStateDirectory(&report)
    }

    private func checkFuse(_ report: inout CheckReport) {
        do {
            try FuseSession.checkSystem(MountOptions(source: identity, allowOther: settings.allowsOthers))
            report.add(.good, "FUSE: libfuse \(FuseSession.libraryVersion)")
        } catch {
            report.add(.bad, "FUSE: \(error)")
        }
    }

    private func checkStateDirectory(_ report: inout CheckReport) {
        let path =
            settings.stateDirectory.map(ControlClient.absolute)
            ?? StatePath.path(for: identity, environment: environment, isRoot: geteuid() == 0)
        let existing = nearestExisting(path)
        guard access(existing, W_OK) == 0 else {
            return report.add(
                .bad,
                "state directory \(path): \(existing) is not writable; name another with --state-dir"
            )
        }
        var space = statvfs()
        guard statvfs(existing, &space) == 0 else {
            return report.add(.bad, "state directory \(path): the disk does not tell its space")
        }
        let unit = Int64(space.f_frsize)
        let reserve = settings.cacheReserve ?? min(2 << 30, Int64(space.f_blocks) * unit / 10)
        let room = Int64(space.f_bavail) * unit - reserve
        let text = "state directory \(path): \(Units.text(bytes: max(0, room))) for files beside the reserve"
        report.add(room > 0 ? .good : .bad, room > 0 ? text : text + "; free space or lower cache_reserve")
    }

    private func nearestExisting(_ path: String) -> String {
        var path = path
        while access(path, F_OK) != 0, path != "/" {
            path = URL(fileURLWithPath: path).deletingLastPathComponent().path
        }
        return path
    }
}

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
            report.add(.good, "FUSE: libfuse \(FuseSession.libraryVersion), \(passthrough)")
        } catch {
            report.add(.bad, "FUSE: \(error)")
        }
    }

    private var passthrough: String {
        guard settings.usesPassthrough else { return "no passthrough: passthrough = false" }
        return FusePassthrough.foreseeableObstacle.map { "no passthrough: \($0)" } ?? "passthrough"
    }

    private func checkStateDirectory(_ report: inout CheckReport) {
        let path =
            settings.stateDirectory.map(ControlClient.absolute)
            ?? StatePath.path(for: identity, environment: environment, isRoot: geteuid() == 0)
        do {
            let disk = try StateDisk(path: path)
            guard access(disk.existing, W_OK) == 0 else {
                let advice = "is not writable; name another with --state-dir"
                return report.add(.bad, "state directory \(path): \(disk.existing) \(advice)")
            }
            let room = disk.available - (try disk.reserve(settings.cacheReserve))
            let text = "state directory \(path): \(Units.text(bytes: max(0, room))) for files beside the reserve"
            report.add(room > 0 ? .good : .bad, room > 0 ? text : text + "; free space or lower cache_reserve")
        } catch {
            report.add(.bad, "\(error)")
        }
    }
}

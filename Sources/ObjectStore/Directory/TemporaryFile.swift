import CLinux
import Synchronization

/// A file that is being written in the store's own area: put in its place by one rename, or gone with its last owner.
final class TemporaryFile: Sendable {
    let file: Descriptor
    private let directory: Descriptor
    private let name: String
    private let isPlaced = Atomic(false)

    init(in tree: FileTree) throws(SystemFault) {
        directory = try tree.makeDirectory(DirectoryLayout.temporaries)
        name = String(UInt64.random(in: .min ... .max), radix: 16) + String(UInt64.random(in: .min ... .max), radix: 16)
        let area = directory
        let fileName = name
        file = Descriptor(
            owning: try SystemFault.check("openat") {
                sluice_openat(area.raw, fileName, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666)
            })
    }

    deinit {
        if !isPlaced.load(ordering: .relaxed) { _ = unlinkat(directory.raw, name, 0) }
    }

    /// Replaces what is there under the name, if anything.
    func place(_ target: String, in targetDirectory: Descriptor) throws(SystemFault) {
        try SystemFault.check("renameat") { renameat(directory.raw, name, targetDirectory.raw, target) }
        isPlaced.store(true, ordering: .relaxed)
    }

    /// Removes files that a crash left behind: those that nobody has written to for a day by the wall clock.
    static func sweep(_ tree: FileTree, now: Int64) throws(SystemFault) {
        let area: Descriptor
        do {
            area = try tree.directory(DirectoryLayout.temporaries)
        } catch let error where error.meansAbsent {
            return
        }
        let day: Int64 = 86_400_000_000_000
        for entry in try DirectoryEntries(of: area).entries {
            guard let (_, status) = try FileTree.file(entry.name, in: area) else { continue }
            if status.changed < now - day { _ = try FileTree.remove(entry.name, in: area) }
        }
    }
}

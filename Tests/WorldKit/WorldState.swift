import Platform
import TestKit

/// What of a world outlives its process: the state directory.
struct WorldState {
    /// Of the journal.
    let directory: TemporaryDirectory
    let disk: any Disk

    /// A directory of the machine.
    init() throws {
        directory = try TemporaryDirectory()
        disk = try PosixDisk(path: directory.path)
    }

    /// As little of one as there can be, for thousands of worlds.
    static func light() throws -> WorldState {
        WorldState(directory: try TemporaryDirectory(in: "/dev/shm"), disk: UnnamedDisk())
    }

    private init(directory: TemporaryDirectory, disk: any Disk) {
        self.directory = directory
        self.disk = disk
    }
}

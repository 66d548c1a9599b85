import Cache
import Platform
import TestKit

/// What of a world outlives its process: the state directory, and the machine it is on.
struct WorldState {
    let disk: any Disk
    /// Where SQLite finds the journal.
    let journalPath: String
    /// A write-ahead log longer than this is moved into the journal, bytes.
    var walLimit: Int64 = 8 << 20
    var boot = BootIdentity(high: 1, low: 1)
    /// Of the journal.
    private let directory: TemporaryDirectory?
    /// What syncs the journal; nil for the machine's.
    private let journalDisk: (any Disk)?

    /// A directory of the machine.
    init(_ wrap: (any Disk) -> any Disk = { $0 }) throws {
        let directory = try TemporaryDirectory()
        try self.init(directory: directory, disk: wrap(PosixDisk(path: directory.path)), journalDisk: nil)
    }

    /// As little of one as there can be, for thousands of worlds: the journal is in memory as well, and its disk finds
    /// nothing to sync.
    static func light() throws -> WorldState {
        let disk = UnnamedDisk()
        return WorldState(directory: try TemporaryDirectory(in: "/dev/shm"), disk: disk, journalDisk: disk)
    }

    /// Everything is on a disk that forgets.
    init(on disk: SimulatedDisk) {
        self.disk = disk
        journalDisk = disk
        directory = nil
        journalPath = SimulatedVFS.uri(of: StateDirectory.journalName, on: disk)
    }

    private init(directory: TemporaryDirectory, disk: any Disk, journalDisk: (any Disk)?) {
        self.directory = directory
        self.journalDisk = journalDisk
        self.disk = disk
        journalPath = directory.path(StateDirectory.journalName)
    }

    func openJournal() throws -> Journal {
        guard let journalDisk else { return try Journal(path: journalPath) }
        return try Journal(path: journalPath, on: journalDisk, walLimit: walLimit)
    }
}

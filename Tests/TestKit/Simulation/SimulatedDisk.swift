import Platform
import Synchronization
import SystemPackage

/// A disk that forgets: what was not synced may be lost, in part or in another order, when the power is cut; and any
/// call may be the last one of the process.
///
/// Bytes are lost by sectors, names by changes of directories, sizes by themselves. SQLite's files can be on it as well
/// (``SimulatedVFS``). Outlives the processes that use it, one after the other: what a dead one left open fails.
public final class SimulatedDisk: Disk {
    public enum End: Sendable {
        /// Of the process alone: all that was written is there.
        case kill
        /// Of the machine. `oneIn`: how much of what was not synced is there all the same, one sector and one change of
        /// a name in so many; 1 is everything.
        case powerCut(oneIn: Int)
    }

    /// Bytes that reach the medium together: of data files few, so that small files are torn.
    private static let sector = 32
    private static let databaseSector = 512

    struct State {
        var root: SimulatedDirectory
        var random: SeededRandom
        /// Of the process that uses the disk.
        var epoch = 0
        var hasCrashed = false
        /// Calls until the process dies.
        var callsLeft: Int?
        var calls = 0
        var changes = 0
        /// Tells the fates of one power cut from those of another.
        var salt: UInt64 = 0
        /// Every file that is there or was since the last power cut.
        var files: [SimulatedBytes] = []
        /// Renames of which one half is on the medium.
        var committed: Set<Int> = []
        /// One call in so many lets something reach the medium that was not synced.
        var writeBackOneIn = 8
        var failingSyncs = 0
        var removedFromQuarantine = 0
    }

    let state: Mutex<State>

    /// An empty disk. `seed`: of what reaches the medium when.
    public init(seed: UInt64) {
        state = Mutex(State(root: SimulatedDirectory(), random: SeededRandom(seed: seed)))
    }

    /// What is on the medium of another disk.
    public init(copying other: SimulatedDisk, seed: UInt64) throws {
        var files: [SimulatedBytes] = []
        let root = try other.state.withLock { try Self.copy($0.root, &files) }
        state = Mutex(State(root: root, random: SeededRandom(seed: seed), files: files))
    }

    private static func copy(
        _ directory: SimulatedDirectory, _ files: inout [SimulatedBytes]
    ) throws(Errno) -> SimulatedDirectory {
        var entries: [String: SimulatedDirectory.Node] = [:]
        for (name, node) in directory.entries.sorted(by: { $0.key < $1.key }) {
            switch node {
            case .file(let bytes):
                let copy = try SimulatedBytes(copying: bytes)
                files.append(copy)
                entries[name] = .file(copy)
            case .directory(let directory): entries[name] = .directory(try copy(directory, &files))
            }
        }
        return SimulatedDirectory(entries: entries)
    }
}

// MARK: Ends

extension SimulatedDisk {
    /// Calls that change something, until now.
    public var calls: Int { state.withLock { $0.calls } }

    public var hasCrashed: Bool { state.withLock { $0.hasCrashed } }

    /// The process dies at the call after `count` more.
    public func crash(after count: Int?) { state.withLock { $0.callsLeft = count } }

    /// The process dies now.
    public func crash() { state.withLock { $0.hasCrashed = true } }

    /// The next process may use the disk.
    public func restart(after end: End) throws {
        try state.withLock { state in
            state.epoch += 1
            state.hasCrashed = false
            state.callsLeft = nil
            guard case .powerCut(let chance) = end else { return }
            state.salt = state.random.next()
            state.files = []
            try losePower(state.root, chance, &state)
            state.committed = []
        }
    }

    private func losePower(_ directory: SimulatedDirectory, _ chance: Int, _ state: inout State) throws(Errno) {
        let salt = state.salt
        directory.losePower { number in
            if state.committed.contains(number) { return true }
            // The halves of a rename have one fate, which follows from its number.
            var random = SeededRandom(seed: salt ^ UInt64(number))
            return random.oneIn(chance)
        }
        for node in directory.entries.sorted(by: { $0.key < $1.key }).map(\.value) {
            switch node {
            case .file(let bytes):
                try bytes.writeBack(oneIn: chance, using: &state.random)
                try bytes.losePower()
                state.files.append(bytes)
            case .directory(let directory):
                if !directory.isSettled { try losePower(directory, chance, &state) }
            }
        }
    }

    /// The next syncs of data files fail.
    public func failSyncs(_ count: Int) { state.withLock { $0.failingSyncs = count } }

    /// Files that were removed from `quarantine/`, which nobody may do.
    public var removedFromQuarantine: Int { state.withLock { $0.removedFromQuarantine } }
}

// MARK: Calls

extension SimulatedDisk {
    static let dead = Errno.ioError

    /// Runs a call of a process that is alive.
    func perform<Value>(
        epoch: Int? = nil, _ body: (inout State) throws(Errno) -> sending Value
    ) throws(Errno) -> sending Value {
        try state.withLock { state throws(Errno) in
            guard !state.hasCrashed, epoch == nil || epoch == state.epoch else { throw Self.dead }
            return try body(&state)
        }
    }

    public func open(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> any DiskFile {
        try openFile(name, mode)
    }

    func openFile(_ name: String, _ mode: DiskOpenMode) throws(Errno) -> SimulatedFile {
        let (directory, last) = Self.split(name)
        return try perform { state throws(Errno) in
            let parent = try Self.find(directory, in: state.root)
            switch parent.entries[last] {
            case .directory: throw .isDirectory
            case .file(let bytes):
                if mode == .truncated, try bytes.file.status().size > 0 {
                    try state.step()
                    try bytes.truncate(to: 0)
                }
                return SimulatedFile(bytes, of: self, epoch: state.epoch)
            case nil:
                guard mode != .existing else { throw .noSuchFileOrDirectory }
                try state.step()
                let isData = directory.hasPrefix("data")
                let bytes = try SimulatedBytes(sector: isData ? Self.sector : Self.databaseSector)
                parent.set(last, .file(bytes), number: state.nextChange())
                state.files.append(bytes)
                return SimulatedFile(bytes, of: self, epoch: state.epoch)
            }
        }
    }

    public func remove(_ name: String) throws(Errno) {
        let (directory, last) = Self.split(name)
        try perform { state throws(Errno) in
            let parent = try Self.find(directory, in: state.root)
            guard parent.entries[last] != nil else { return }
            try state.step()
            if directory == "quarantine" { state.removedFromQuarantine += 1 }
            parent.set(last, nil, number: state.nextChange())
        }
    }

    public func rename(_ name: String, to newName: String) throws(Errno) {
        let (from, to) = (Self.split(name), Self.split(newName))
        try perform { state throws(Errno) in
            let (parent, newParent) = (
                try Self.find(from.directory, in: state.root), try Self.find(to.directory, in: state.root)
            )
            guard let node = parent.entries[from.last] else { throw .noSuchFileOrDirectory }
            try state.step()
            let number = state.nextChange()
            parent.set(from.last, nil, number: number)
            newParent.set(to.last, node, number: number)
        }
    }

    public func makeDirectory(_ name: String) throws(Errno) {
        let (directory, last) = Self.split(name)
        try perform { state throws(Errno) in
            let parent = try Self.find(directory, in: state.root)
            guard parent.entries[last] == nil else { return }
            try state.step()
            parent.set(last, .directory(SimulatedDirectory()), number: state.nextChange())
        }
    }

    public func names(in directory: String) throws(Errno) -> [String] {
        try perform { state throws(Errno) in try Self.find(directory, in: state.root).entries.keys.sorted() }
    }

    public func synchronizeDirectory(_ name: String) throws(Errno) {
        try perform { state throws(Errno) in
            let directory = try Self.find(name, in: state.root)
            try state.step()
            state.committed.formUnion(directory.synchronize())
        }
    }

    public func synchronizeAll() throws(Errno) {
        try perform { state throws(Errno) in
            try state.step()
            try Self.synchronize(state.root)
        }
    }

    private static func synchronize(_ directory: SimulatedDirectory) throws(Errno) {
        _ = directory.synchronize()
        for node in directory.entries.values {
            switch node {
            case .directory(let directory): try synchronize(directory)
            case .file(let bytes):
                try bytes.synchronize()
                try bytes.synchronizeModified()
            }
        }
    }

    /// Here and now, so that a history is the same each time.
    public func runAside(_ work: @escaping @Sendable () -> Void) { work() }

    public func space() -> DiskSpace { DiskSpace(total: 1 << 40, free: 1 << 40, available: 1 << 40) }

    private static func split(_ name: String) -> (directory: String, last: String) {
        guard let slash = name.lastIndex(of: "/") else { return ("", name) }
        return (String(name[..<slash]), String(name[name.index(after: slash)...]))
    }

    private static func find(_ path: String, in root: SimulatedDirectory) throws(Errno) -> SimulatedDirectory {
        var directory = root
        for name in path.split(separator: "/") where name != "." {
            switch directory.entries[String(name)] {
            case .directory(let next): directory = next
            case .file: throw .notDirectory
            case nil: throw .noSuchFileOrDirectory
            }
        }
        return directory
    }
}

extension SimulatedDisk.State {
    /// One call that changes something is about to take effect, if the process lives on.
    mutating func step() throws(Errno) {
        calls += 1
        if let left = callsLeft {
            callsLeft = left - 1
            if left <= 0 { hasCrashed = true }
        }
        if hasCrashed { throw SimulatedDisk.dead }
        if random.oneIn(writeBackOneIn) { try writeSomethingBack() }
    }

    mutating func nextChange() -> Int {
        changes += 1
        return changes
    }

    /// The kernel writes when it likes.
    private mutating func writeSomethingBack() throws(Errno) {
        try files.randomElement(using: &random)?.writeBack(oneIn: 2, using: &random)
    }
}

import Platform
import SystemPackage

/// An open file of a ``SimulatedDisk``, as one process has it.
final class SimulatedFile: DiskFile {
    private let bytes: SimulatedBytes
    private let disk: SimulatedDisk
    private let epoch: Int

    init(_ bytes: SimulatedBytes, of disk: SimulatedDisk, epoch: Int) {
        self.bytes = bytes
        self.disk = disk
        self.epoch = epoch
    }

    var descriptor: Int32 { bytes.file.descriptor }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(Errno) -> Int {
        try disk.perform(epoch: epoch) { _ throws(Errno) in try bytes.file.read(into: buffer, at: offset) }
    }

    /// A process that dies in the middle of it has written a part.
    func write(_ buffer: UnsafeRawBufferPointer, at offset: Int64) throws(Errno) {
        try disk.perform(epoch: epoch) { state throws(Errno) in
            do throws(Errno) {
                try state.step()
            } catch {
                let count = Int.random(in: 0...buffer.count, using: &state.random)
                try bytes.file.write(UnsafeRawBufferPointer(rebasing: buffer.prefix(count)), at: offset)
                throw error
            }
            try bytes.file.write(buffer, at: offset)
        }
    }

    func truncate(to size: Int64) throws(Errno) {
        try change { () throws(Errno) in try bytes.truncate(to: size) }
    }

    func allocate(_ range: Range<Int64>, _ allocation: Allocation) throws(Errno) {
        try change { () throws(Errno) in try bytes.file.allocate(range, allocation) }
    }

    func setModified(_ time: Timestamp) throws(Errno) {
        try change { () throws(Errno) in try bytes.file.setModified(time) }
    }

    /// A program that outlives the daemon is not simulated.
    func isOpenElsewhere() throws(Errno) -> Bool { false }

    private func change(_ body: () throws(Errno) -> Void) throws(Errno) {
        try disk.perform(epoch: epoch) { state throws(Errno) in
            try state.step()
            try body()
        }
    }

    func seek(_ goal: SparseSeek, from offset: Int64) throws(Errno) -> Int64 {
        try disk.perform(epoch: epoch) { _ throws(Errno) in try bytes.file.seek(goal, from: offset) }
    }

    /// What of it reaches the medium is left to chance, as ever before a sync.
    func writeBack(_ range: Range<Int64>) throws(Errno) { try change { () throws(Errno) in } }

    func synchronize() throws(Errno) {
        try disk.perform(epoch: epoch) { state throws(Errno) in
            try state.step()
            guard state.failingSyncs == 0 else {
                state.failingSyncs -= 1
                try bytes.failToSynchronize()
                throw .ioError
            }
            try bytes.synchronize()
        }
    }

    func status() throws(Errno) -> DiskFileStatus {
        try disk.perform(epoch: epoch) { _ throws(Errno) in try bytes.file.status() }
    }
}

import CLinux
import Platform
import SystemPackage

/// The bytes of one file of a ``SimulatedDisk``: as programs see them, and as a power cut would leave them.
///
/// What programs see is a memory file of the kernel, since programs write through descriptors. What reached the medium
/// is kept beside it: sectors that differ are those that were not synced.
///
/// SAFETY: guarded by the lock of its disk.
final class SimulatedBytes: @unchecked Sendable {
    let file: PosixDiskFile
    /// Bytes that reach the medium together.
    private let sector: Int
    private var durable: [UInt8] = []
    private var durableModified: Timestamp
    /// The least size since the last sync, if it is less than that of ``durable``. Cutting a file is one change of the file
    /// system: it has reached the medium, or nothing behind it has.
    private var cut: Int?
    /// Sectors that a failed sync gave up, as they were then: the kernel takes them for synced until they change.
    private var abandoned: [Int: [UInt8]] = [:]

    init(sector: Int) throws(Errno) {
        self.sector = sector
        // O_TMPFILE of open(2).
        let flags = O_RDWR | O_DIRECTORY | 0o20000000
        file = PosixDiskFile(owning: try systemCall { sluice_openat(AT_FDCWD, "/dev/shm", flags, 0o600) })
        durableModified = try file.status().modified
    }

    init(copying other: SimulatedBytes) throws(Errno) {
        sector = other.sector
        let flags = O_RDWR | O_DIRECTORY | 0o20000000
        file = PosixDiskFile(owning: try systemCall { sluice_openat(AT_FDCWD, "/dev/shm", flags, 0o600) })
        durable = other.durable
        durableModified = other.durableModified
        abandoned = other.abandoned
        try file.write(other.current(), at: 0)
        try file.setModified(try other.file.status().modified)
    }

    func current() throws(Errno) -> [UInt8] {
        try file.contents(limit: Int(try file.status().size))
    }

    func truncate(to size: Int64) throws(Errno) {
        try file.truncate(to: size)
        if Int(size) < durable.count { cut = min(cut ?? .max, Int(size)) }
    }

    /// fdatasync(2): the bytes, not the times.
    func synchronize() throws(Errno) {
        let bytes = try current()
        cut = nil
        guard !Self.areSame(bytes, durable) else { return }
        guard !abandoned.isEmpty else {
            durable = bytes
            return
        }
        durable = merged(bytes, size: bytes.count) { index in
            guard let former = abandoned[index], former == slice(bytes, index) else {
                abandoned[index] = nil
                return true
            }
            return false
        }
    }

    func synchronizeModified() throws(Errno) { durableModified = try file.status().modified }

    /// A sync that fails: nothing more reaches the medium, and the kernel forgets that it should have.
    func failToSynchronize() throws(Errno) {
        let bytes = try current()
        for index in changedSectors(bytes) { abandoned[index] = slice(bytes, index) }
    }

    /// Some of what was not synced reaches the medium all the same.
    func writeBack(oneIn chance: Int, using random: inout SeededRandom) throws(Errno) {
        let bytes = try current()
        guard !Self.areSame(bytes, durable) else { return }
        if let cut, random.oneIn(chance) {
            durable.removeLast(durable.count - cut)
            self.cut = nil
        }
        let limit = cut ?? .max
        var size = durable.count
        if cut == nil, size < bytes.count, !random.oneIn(4) {
            size = random.oneIn(3) ? Int.random(in: size...bytes.count, using: &random) : bytes.count
        }
        let lucky = Set(changedSectors(bytes).filter { ($0 + 1) * sector <= limit && random.oneIn(chance) })
        durable = merged(bytes, size: size) { lucky.contains($0) && abandoned[$0] == nil }
        if random.oneIn(2) { try synchronizeModified() }
    }

    /// The machine starts again: what is on the medium is all there is.
    func losePower() throws(Errno) {
        let modified = durableModified
        if try !Self.areSame(current(), durable) {
            try file.truncate(to: 0)
            try file.write(durable, at: 0)
        }
        try file.setModified(modified)
        abandoned = [:]
        cut = nil
    }

    // MARK: Sectors

    private func merged(_ bytes: [UInt8], size: Int, _ isTaken: (Int) -> Bool) -> [UInt8] {
        var result = Array(durable.prefix(size))
        if result.count < size { result += [UInt8](repeating: 0, count: size - result.count) }
        for index in changedSectors(bytes) where isTaken(index) {
            guard index * sector < size else { break }
            let range = index * sector..<min((index + 1) * sector, size)
            let new = slice(bytes, index).prefix(range.count)
            result.replaceSubrange(range.prefix(new.count), with: new)
            for zero in range.dropFirst(new.count) { result[zero] = 0 }
        }
        return result
    }

    /// Many times faster than `==` where the compiler does not optimise.
    private static func areSame(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return left.withUnsafeBytes { mine in
            right.withUnsafeBytes { theirs in
                guard let mine = mine.baseAddress, let theirs = theirs.baseAddress else { return true }
                return memcmp(mine, theirs, left.count) == 0
            }
        }
    }

    private func changedSectors(_ bytes: [UInt8]) -> [Int] {
        let count = (max(bytes.count, durable.count) + sector - 1) / sector
        return (0..<count).filter { index in
            let (start, end) = (index * sector, (index + 1) * sector)
            guard end <= bytes.count, end <= durable.count else { return slice(bytes, index) != slice(durable, index) }
            return bytes.withUnsafeBytes { mine in
                durable.withUnsafeBytes { theirs in
                    guard let mine = mine.baseAddress, let theirs = theirs.baseAddress else { return false }
                    return memcmp(mine + start, theirs + start, sector) != 0
                }
            }
        }
    }

    private func slice(_ bytes: [UInt8], _ index: Int) -> [UInt8] {
        Array(bytes[min(index * sector, bytes.count)..<min((index + 1) * sector, bytes.count)])
    }
}

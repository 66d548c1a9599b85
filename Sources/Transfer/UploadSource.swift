import Cache
import ObjectStore
import Platform
import Synchronization
import SystemPackage

/// A range of a local file as the body of one request, with the MD5 of what was read.
///
/// A store reads a body twice, for the checksum and for sending; the digest is of the last whole reading. The file may
/// change meanwhile. A body that is to be a moment of the file is told its version, and its last bytes are not given out
/// if what was read may be of several; whoever sends parts compares versions when all of them are sent. Of a file that
/// programs write past this process a version tells little: its body is read once before, and each time the same.
final class UploadSource: ByteSource {
    /// A program wrote over what was being sent, or made the file shorter.
    struct Changed: Error {}

    let count: Int64
    private let file: CachedFile
    private let start: Int64
    private let version: CachedFile.Version?
    private let progress: UploadProgress?
    private let state: Mutex<State>

    // SAFETY: the checksum is never seen outside the lock.
    fileprivate struct State: @unchecked Sendable {
        let checksum = Checksum(.md5)
        var position: Int64 = 0
        var isSecondReading = false
        var digest: String?
        var credited: Int64 = 0
        /// The MD5 that each reading must have.
        var confirmed: String?
        var damage: CacheError?
    }

    init(
        _ file: CachedFile, range: Range<Int64>, of version: CachedFile.Version? = nil,
        progress: UploadProgress? = nil
    ) {
        self.file = file
        self.version = version
        self.progress = progress
        start = range.lowerBound
        count = range.length
        state = Mutex(State())
        if count == 0 { state.withLock { $0.digest = Checksum.hex($0.checksum.finish()) } }
    }

    /// In lower-case hexadecimal; nil until the range was read once from start to end.
    var md5: String? { state.withLock { $0.digest } }

    /// Why a request failed, if the disk could not read the bytes: a store tells no more than that there were none.
    var damage: CacheError? { state.withLock { $0.damage } }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws {
        guard try readFile(into: buffer, at: start + offset) == buffer.count else {
            if file.version.size < start + offset + Int64(buffer.count) { throw Changed() }
            throw CacheError.corrupt("the data file of inode \(file.inode) is too short")
        }
        if let version, version.isExact, offset + Int64(buffer.count) == count,
            file.version.rewrites != version.rewrites
        {
            throw Changed()
        }
        file.learnChecksums(endingIn: start + offset..<start + offset + Int64(buffer.count))
        let (sent, isSame) = state.withLock { state in
            let sent = state.take(UnsafeRawBufferPointer(buffer), at: offset, of: count)
            let isWhole = offset + Int64(buffer.count) == count
            return (sent, !isWhole || state.confirmed == nil || state.confirmed == state.digest)
        }
        guard isSame else { throw Changed() }
        if sent > 0 { progress?.sent(sent) }
    }

    /// Reads the body once, if its version tells little.
    func confirm() throws {
        guard let version, !version.isExact else { return }
        let digest = try Self.md5(of: file, range: start..<start + count)
        state.withLock { $0.confirmed = digest }
    }

    private func readFile(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        do throws(Errno) {
            return try file.read(into: buffer, at: offset)
        } catch {
            guard error == .ioError else { throw error }
            let damage = CacheError.corrupt("unsent bytes of inode \(file.inode) cannot be read from the disk")
            state.withLock { $0.damage = damage }
            throw damage
        }
    }

    /// The request succeeded.
    func finish() {
        let rest = state.withLock { state in
            defer { state.credited = count }
            return count - state.credited
        }
        if rest > 0 { progress?.sent(rest) }
    }

    /// The request failed: its bytes do not count.
    func abandon() {
        let credited = state.withLock { state in
            defer { state.credited = 0 }
            return state.credited
        }
        progress?.skip(-credited)
    }

    /// The MD5 of a range of a file in hexadecimal. Reads the disk.
    static func md5(of file: CachedFile, range: Range<Int64>) throws -> String {
        let source = UploadSource(file, range: range)
        let step = min(source.count, 1 << 20)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(step), alignment: 16)
        defer { buffer.deallocate() }
        for offset in stride(from: 0, to: source.count, by: 1 << 20) {
            let length = Int(min(step, source.count - offset))
            try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]), at: offset)
        }
        guard let digest = source.md5 else { preconditionFailure("the range was read from start to end") }
        return digest
    }
}

extension UploadSource.State {
    /// Takes bytes that were read; returns how many of them count as sent: those of a second reading, since the first
    /// is for the checksum.
    fileprivate mutating func take(_ bytes: UnsafeRawBufferPointer, at offset: Int64, of count: Int64) -> Int64 {
        if offset == 0, position != 0 {
            isSecondReading = true
            if position != count { _ = checksum.finish() }
            position = 0
        }
        guard offset == position else { return 0 }
        checksum.update(bytes)
        position += Int64(bytes.count)
        if position == count { digest = Checksum.hex(checksum.finish()) }
        guard isSecondReading, position > credited else { return 0 }
        defer { credited = position }
        return position - credited
    }
}

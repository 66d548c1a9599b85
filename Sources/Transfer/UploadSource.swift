import Cache
import ObjectStore
import Platform
import Synchronization
import SystemPackage

/// A range of a local file as the body of one request, with the fingerprint of what was read.
///
/// A store reads a body twice, for the checksum and for sending; the fingerprint is of the last whole reading. The file may
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
    private let whenMostIsSent: @Sendable () -> Void
    private let state = Mutex(State())

    /// One reading from start to end.
    private struct Reading {
        let maker: FingerprintMaker
        /// Of the file's version when it began.
        let rewrites: UInt64
    }

    // SAFETY: what makes the fingerprint is never seen outside the lock.
    private struct State: @unchecked Sendable {
        var reading: Reading?
        var position: Int64 = 0
        var isSecondReading = false
        var fingerprint: Fingerprint?
        var credited: Int64 = 0
        /// That each reading must have.
        var confirmed: Fingerprint?
        var damage: CacheError?
    }

    /// `whenMostIsSent`: called, once or more, when no more than a quarter is left to be sent.
    init(
        _ file: CachedFile, range: Range<Int64>, of version: CachedFile.Version? = nil,
        progress: UploadProgress? = nil, whenMostIsSent: @escaping @Sendable () -> Void = {}
    ) {
        self.file = file
        self.version = version
        self.progress = progress
        self.whenMostIsSent = whenMostIsSent
        start = range.lowerBound
        count = range.length
    }

    /// Nil until the range was read once from start to end.
    var fingerprint: Fingerprint? { state.withLock { $0.fingerprint } }

    /// Why a request failed, if the disk could not read the bytes: a store tells no more than that there were none.
    var damage: CacheError? { state.withLock { $0.damage } }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws {
        if offset == 0 { begin() }
        guard try readFile(into: buffer, at: start + offset) == buffer.count else {
            if file.version.size < start + offset + Int64(buffer.count) { throw Changed() }
            throw CacheError.corrupt("the data file of inode \(file.inode) is too short")
        }
        if let version, version.isExact, offset + Int64(buffer.count) == count,
            file.version.rewrites != version.rewrites
        {
            throw Changed()
        }
        let sent = try take(UnsafeRawBufferPointer(buffer), at: offset)
        guard sent > 0 else { return }
        progress?.sent(sent)
        if offset + Int64(buffer.count) >= count - count / 4 { whenMostIsSent() }
    }

    /// Reads the body once, if its version tells little.
    func confirm() {
        guard let version, !version.isExact else { return }
        let fingerprint = file.fingerprint(of: start..<start + count)
        state.withLock { $0.confirmed = fingerprint }
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

    private func begin() {
        let rewrites = file.version.rewrites
        state.withLock { state in
            state.isSecondReading = state.position != 0
            state.position = 0
            state.reading = Reading(maker: FingerprintMaker(from: start), rewrites: rewrites)
        }
    }

    /// Takes bytes that were read; returns how many of them count as sent: those of a second reading, since the first is
    /// for the checksum.
    private func take(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws -> Int64 {
        try state.withLock { state in
            guard offset == state.position, let reading = state.reading else { return 0 }
            reading.maker.update(bytes)
            state.position += Int64(bytes.count)
            if state.position == count {
                state.fingerprint = reading.maker.finish()
                state.reading = nil
                if let confirmed = state.confirmed, confirmed != state.fingerprint { throw Changed() }
                file.learnChecksums(reading.maker, since: reading.rewrites)
            }
            guard state.isSecondReading, state.position > state.credited else { return 0 }
            defer { state.credited = state.position }
            return state.position - state.credited
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
        let checksum = Checksum(.md5)
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Int(min(max(1, range.length), 1 << 20)), alignment: 16)
        defer { buffer.deallocate() }
        for offset in stride(from: range.lowerBound, to: range.upperBound, by: buffer.count) {
            let length = Int(min(Int64(buffer.count), range.upperBound - offset))
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
            guard try file.read(into: piece, at: offset) == length else { throw Changed() }
            checksum.update(UnsafeRawBufferPointer(piece))
        }
        return Checksum.hex(checksum.finish())
    }
}

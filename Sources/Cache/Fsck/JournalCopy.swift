import CLinux
import Foundation
import GRDB
import Platform
import SystemPackage

/// A copy of the journal of a state directory that is not to be changed: SQLite writes when it reads a journal whose
/// process died. Removed when the last reference goes.
final class JournalCopy {
    private let directory: String
    private let queue: DatabaseQueue

    private static let page: [UInt8] = Array(repeating: 0, count: 4096)

    /// Throws ``CacheError`` if there is no room for the copy, DatabaseError if what was copied is no database.
    init(of tree: StateTree) throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/sluice-fsck-XXXXXX").utf8CString)
        guard let made = mkdtemp(&template) else {
            throw CacheError.system(Errno(rawValue: sluice_errno()), during: "making a place for a copy of the journal")
        }
        let directory = String(cString: made)
        self.directory = directory
        do {
            let isThere = try Self.copy("journal.db", of: tree, to: directory)
            let hasLog = try Self.copy("journal.db-wal", of: tree, to: directory)
            // Whatever was not moved into the database yet is in the log as a whole, often everything.
            if !isThere && hasLog { try Data(Self.page).write(to: URL(fileURLWithPath: directory + "/journal.db")) }
            queue = try DatabaseQueue(path: directory + "/journal.db")
        } catch {
            try? FileManager.default.removeItem(atPath: directory)
            throw error
        }
    }

    deinit {
        try? queue.close()
        try? FileManager.default.removeItem(atPath: directory)
    }

    func read<Value>(_ body: (Database) throws -> Value) throws -> Value { try queue.inDatabase(body) }

    /// Whether there is anything to copy.
    private static func copy(_ name: String, of tree: StateTree, to directory: String) throws(CacheError) -> Bool {
        let source: PosixDiskFile
        do { source = try tree.open(name) } catch { return false }
        do {
            let size = try source.status().size
            guard size > 0 else { return false }
            let target = PosixDiskFile(
                owning: try systemCall {
                    sluice_openat(AT_FDCWD, directory + "/" + name, O_WRONLY | O_CREAT | O_EXCL, 0o600)
                })
            try target.copy(source, 0..<size)
            return true
        } catch {
            throw .system(error, during: "copying \(name) to \(directory)")
        }
    }
}

extension PosixDiskFile {
    /// Copies a range to the same place here, zeros as holes where the source has holes. Bytes that the disk cannot
    /// read are left out: returns how many.
    @discardableResult
    func copy(_ source: PosixDiskFile, _ range: Range<Int64>) throws(Errno) -> Int64 {
        let step = 1 << 20
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: step, alignment: 4096)
        defer { buffer.deallocate() }
        var unreadable: Int64 = 0
        var offset = range.lowerBound
        while offset < range.upperBound {
            do { offset = max(offset, try source.seek(.data, from: offset)) } catch .noSuchAddressOrDevice { break }
            guard offset < range.upperBound else { break }
            let wanted = Int(min(Int64(step), range.upperBound - offset))
            let count: Int
            do {
                count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]), at: offset)
            } catch .ioError where wanted > 4096 {
                unreadable += try copyByPages(source, offset..<offset + Int64(wanted))
                offset += Int64(wanted)
                continue
            }
            if count == 0 { break }
            try write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), at: offset)
            offset += Int64(count)
        }
        return unreadable
    }

    private func copyByPages(_ source: PosixDiskFile, _ range: Range<Int64>) throws(Errno) -> Int64 {
        var unreadable: Int64 = 0
        for start in stride(from: range.lowerBound, to: range.upperBound, by: 4096) {
            let page = start..<min(start + 4096, range.upperBound)
            do { unreadable += try copy(source, page) } catch .ioError { unreadable += page.length }
        }
        return unreadable
    }
}

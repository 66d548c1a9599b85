import GRDBSQLite
import Platform
import Synchronization
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Lets SQLite have its files on a ``SimulatedDisk`` (sqlite.org, "The OS Interface or VFS"). Locks are not needed: the
/// journal is used by one connection, in exclusive mode, which also does without shared memory.
public enum SimulatedVFS {
    private static let name = "sluice-simulated"

    // SAFETY: written once, under the lock of a static's first use; SQLite only reads it.
    nonisolated(unsafe) private static let registered: UnsafeMutablePointer<sqlite3_vfs>? = register()
    // SAFETY: as above.
    nonisolated(unsafe) private static let methods: UnsafeMutablePointer<sqlite3_io_methods> = makeMethods()

    private final class Weak: Sendable {
        // SAFETY: set once; a weak reference may be read from any thread.
        nonisolated(unsafe) weak var disk: SimulatedDisk?
        init(_ disk: SimulatedDisk) { self.disk = disk }
    }

    private struct Mounts {
        var last = 0
        var disks: [Int: Weak] = [:]
    }

    private static let mounts = Mutex(Mounts())

    /// The URI by which SQLite opens the file `name` of a disk.
    public static func uri(of file: String, on disk: SimulatedDisk) -> String {
        precondition(registered != nil, "SQLite takes a further VFS")
        let number = mounts.withLock { mounts in
            mounts.last += 1
            mounts.disks = mounts.disks.filter { $0.value.disk != nil }
            mounts.disks[mounts.last] = Weak(disk)
            return mounts.last
        }
        return "file:/\(number)/\(file)?vfs=\(name)"
    }

    /// The disk and the name on it of a path as ``uri(of:on:)`` makes them.
    private static func find(_ path: UnsafePointer<CChar>?) -> (disk: SimulatedDisk, name: String)? {
        guard let path else { return nil }
        let parts = String(cString: path).split(separator: "/", maxSplits: 1).map(String.init)
        guard parts.count == 2, let number = Int(parts[0]),
            let disk = mounts.withLock({ $0.disks[number]?.disk })
        else { return nil }
        return (disk, parts[1])
    }

    // MARK: Files

    /// What SQLite calls an open file begins with what it knows of it.
    private struct OpenFile {
        var base: sqlite3_file
        var file: Unmanaged<SimulatedFile>?
        var disk: Unmanaged<SimulatedDisk>?
        /// The name is to be synced with the first sync, as SQLite's own VFS for Unix does for new journals.
        var hasNewName: Bool
    }

    private static func opened(_ file: UnsafeMutablePointer<sqlite3_file>?) -> UnsafeMutablePointer<OpenFile>? {
        file.map { UnsafeMutableRawPointer($0).assumingMemoryBound(to: OpenFile.self) }
    }

    private static func with(
        _ file: UnsafeMutablePointer<sqlite3_file>?, or code: Int32, _ body: (SimulatedFile) throws(Errno) -> Int32
    ) -> Int32 {
        guard let simulated = opened(file)?.pointee.file?.takeUnretainedValue() else { return code }
        do { return try body(simulated) } catch { return code }
    }

    private static func makeMethods() -> UnsafeMutablePointer<sqlite3_io_methods> {
        var methods = sqlite3_io_methods()
        methods.iVersion = 1
        methods.xClose = { file in
            SimulatedVFS.opened(file)?.pointee.file?.release()
            SimulatedVFS.opened(file)?.pointee.disk?.release()
            file?.pointee.pMethods = nil
            return SQLITE_OK
        }
        methods.xRead = { file, buffer, count, offset in
            SimulatedVFS.with(file, or: 10 | (1 << 8)) { simulated throws(Errno) in
                let buffer = UnsafeMutableRawBufferPointer(start: buffer, count: Int(count))
                let found = try simulated.read(into: buffer, at: offset)
                guard found < buffer.count else { return SQLITE_OK }
                for index in found..<buffer.count { buffer[index] = 0 }
                return 10 | (2 << 8)  // SQLITE_IOERR_SHORT_READ
            }
        }
        methods.xWrite = { file, bytes, count, offset in
            SimulatedVFS.with(file, or: 10 | (3 << 8)) { simulated throws(Errno) in
                try simulated.write(UnsafeRawBufferPointer(start: bytes, count: Int(count)), at: offset)
                return SQLITE_OK
            }
        }
        methods.xTruncate = { file, size in
            SimulatedVFS.with(file, or: 10 | (6 << 8)) { simulated throws(Errno) in
                try simulated.truncate(to: size)
                return SQLITE_OK
            }
        }
        methods.xSync = { file, _ in
            SimulatedVFS.with(file, or: 10 | (4 << 8)) { simulated throws(Errno) in
                try simulated.synchronize()
                guard let opened = SimulatedVFS.opened(file), opened.pointee.hasNewName else { return SQLITE_OK }
                try opened.pointee.disk?.takeUnretainedValue().synchronizeDirectory("")
                opened.pointee.hasNewName = false
                return SQLITE_OK
            }
        }
        methods.xFileSize = { file, size in
            SimulatedVFS.with(file, or: 10 | (7 << 8)) { simulated throws(Errno) in
                size?.pointee = try simulated.status().size
                return SQLITE_OK
            }
        }
        methods.xLock = { _, _ in SQLITE_OK }
        methods.xUnlock = { _, _ in SQLITE_OK }
        methods.xCheckReservedLock = { _, answer in
            answer?.pointee = 0
            return SQLITE_OK
        }
        methods.xFileControl = { _, _, _ in SQLITE_NOTFOUND }
        methods.xSectorSize = { _ in 4096 }
        methods.xDeviceCharacteristics = { _ in 0x1000 }  // SQLITE_IOCAP_POWERSAFE_OVERWRITE
        let pointer = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        pointer.initialize(to: methods)
        return pointer
    }

    // MARK: Names

    private static func register() -> UnsafeMutablePointer<sqlite3_vfs>? {
        guard let base = sqlite3_vfs_find(nil) else { return nil }
        var vfs = base.pointee
        vfs.iVersion = 1
        vfs.szOsFile = Int32(MemoryLayout<OpenFile>.size)
        vfs.mxPathname = 512
        vfs.pNext = nil
        vfs.zName = UnsafePointer(strdup(name))
        vfs.pAppData = nil
        vfs.xOpen = { _, path, file, flags, outFlags in SimulatedVFS.open(path, file, flags, outFlags) }
        vfs.xDelete = { _, path, isSynced in SimulatedVFS.delete(path, isSynced: isSynced != 0) }
        vfs.xAccess = { _, path, _, answer in
            guard let (disk, name) = SimulatedVFS.find(path) else { return SQLITE_IOERR }
            do throws(Errno) {
                answer?.pointee = try disk.names(in: "").contains(name) ? 1 : 0
                return SQLITE_OK
            } catch {
                return SQLITE_IOERR
            }
        }
        vfs.xFullPathname = { _, path, count, out in
            guard let path, let out, strlen(path) < Int(count) else { return SQLITE_CANTOPEN }
            strcpy(out, path)
            return SQLITE_OK
        }
        let pointer = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        pointer.initialize(to: vfs)
        return sqlite3_vfs_register(pointer, 0) == SQLITE_OK ? pointer : nil
    }

    private static func open(
        _ path: UnsafePointer<CChar>?, _ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32,
        _ outFlags: UnsafeMutablePointer<Int32>?
    ) -> Int32 {
        guard let file, let open = opened(file) else { return SQLITE_CANTOPEN }
        file.pointee.pMethods = nil
        guard let (disk, name) = find(path) else { return SQLITE_CANTOPEN }
        do throws(Errno) {
            let isNew = try !disk.names(in: "").contains(name)
            let simulated = try disk.openFile(name, flags & SQLITE_OPEN_CREATE != 0 ? .createIfAbsent : .existing)
            let isJournal = flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL) != 0
            open.initialize(
                to: OpenFile(
                    base: sqlite3_file(pMethods: UnsafePointer(methods)), file: .passRetained(simulated),
                    disk: .passRetained(disk), hasNewName: isNew && isJournal))
            outFlags?.pointee = flags
            return SQLITE_OK
        } catch {
            return SQLITE_CANTOPEN
        }
    }

    private static func delete(_ path: UnsafePointer<CChar>?, isSynced: Bool) -> Int32 {
        guard let (disk, name) = find(path) else { return SQLITE_IOERR }
        do throws(Errno) {
            guard try disk.names(in: "").contains(name) else { return 10 | (23 << 8) }  // SQLITE_IOERR_DELETE_NOENT
            try disk.remove(name)
            if isSynced { try disk.synchronizeDirectory("") }
            return SQLITE_OK
        } catch {
            return 10 | (10 << 8)  // SQLITE_IOERR_DELETE
        }
    }
}

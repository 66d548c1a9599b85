import CLinux

/// The names in one directory, read whole.
struct DirectoryEntries {
    enum Kind {
        case file
        case directory
        /// Links, pipes, sockets, devices.
        case other
    }

    struct Entry {
        var name: String
        var kind: Kind
    }

    /// Names that are not UTF-8 are left out: no key can be made of them.
    private(set) var entries: [Entry] = []
    /// Whether there is nothing at all, not even names that were left out.
    private(set) var isEmpty = true

    /// The same without reading further than the first name.
    static func isEmpty(_ directory: Descriptor) throws(SystemFault) -> Bool {
        let stream = try open(directory)
        defer { _ = closedir(stream) }
        return try next(stream) == nil
    }

    init(of directory: Descriptor) throws(SystemFault) {
        let stream = try Self.open(directory)
        defer { _ = closedir(stream) }
        while let (bytes, type) = try Self.next(stream) {
            isEmpty = false
            guard let name = String(validating: bytes, as: UTF8.self) else { continue }
            entries.append(Entry(name: name, kind: try Self.kind(type, name, in: directory)))
        }
    }

    /// A stream of its own: fdopendir(3) takes the descriptor over, and duplicates share their position.
    private static func open(_ directory: Descriptor) throws(SystemFault) -> OpaquePointer {
        let raw = try SystemFault.check("openat") { sluice_openat(directory.raw, ".", O_RDONLY | O_DIRECTORY, 0) }
        guard let stream = fdopendir(raw) else {
            let code = sluice_errno()
            _ = close(raw)
            throw SystemFault(code: code, call: "fdopendir")
        }
        return stream
    }

    private static func next(_ stream: OpaquePointer) throws(SystemFault) -> (name: [UInt8], type: UInt8)? {
        while true {
            __errno_location().pointee = 0
            guard let entry = readdir(stream) else {
                let code = sluice_errno()
                if code != 0 { throw SystemFault(code: code, call: "readdir") }
                return nil
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != [0x2E] && name != [0x2E, 0x2E] { return (name, entry.pointee.d_type) }
        }
    }

    private static func kind(
        _ type: UInt8, _ name: String, in directory: Descriptor
    ) throws(SystemFault) -> Kind {
        switch Int(type) {
        case Int(DT_REG): return .file
        case Int(DT_DIR): return .directory
        case Int(DT_UNKNOWN):
            var status = stat()
            do {
                try SystemFault.check("fstatat") { fstatat(directory.raw, name, &status, AT_SYMLINK_NOFOLLOW) }
            } catch let error where error.meansAbsent {
                return .other
            }
            let found = FileStatus(status)
            return found.isFile ? .file : found.isDirectory ? .directory : .other
        default: return .other
        }
    }
}

import CLinux

/// Reads and writes the records of objects: in an extended attribute of the file where there are any, else in a
/// sidecar file below the reserved directory.
///
/// A sidecar's name holds the key's hash and the size and mtime of the file it describes, so that a new record never
/// touches the one that still counts: what makes it count is the rename of its object.
struct DirectoryRecords: Sendable {
    let tree: FileTree
    /// False: sidecars always.
    let usesAttributes: Bool

    /// Nil if the store did not make this file, or somebody changed it since.
    func record(
        of file: Descriptor, _ status: FileStatus, key: ObjectKey
    ) throws(SystemFault) -> ObjectRecord? {
        if usesAttributes, let value = try file.attribute(ObjectRecord.attribute),
            let record = ObjectRecord(encoded: value), status.isDirectory || record.describes(status)
        {
            return record
        }
        return try sidecar(key, status)
    }

    func isMarked(_ directory: Descriptor, path: [String]) throws(SystemFault) -> Bool {
        let key = ObjectKey(path.joined(separator: "/") + "/")
        return try record(of: directory, directory.status(), key: key) != nil
    }

    /// A sidecar is durable on return; an attribute is once `file` is synchronized.
    func store(_ record: ObjectRecord, on file: Descriptor, key: ObjectKey, isMarker: Bool) throws(SystemFault) {
        if usesAttributes {
            do {
                try file.setAttribute(ObjectRecord.attribute, record.encoded)
                return
            } catch let error where [ENOTSUP, ENOSPC, E2BIG, EDQUOT, EPERM].contains(error.code) {
                // No attributes here, or too little room for this one.
            }
        }
        let directory = try tree.makeDirectory(Self.directory(key))
        let temporary = try TemporaryFile(in: tree)
        try temporary.file.write(record.encoded, at: 0)
        try temporary.file.synchronize()
        try temporary.place(Self.name(isMarker: isMarker, record.size, record.modified), in: directory)
        try directory.synchronize()
    }

    /// Removes the sidecars of a key but the one of its file that `kept` describes.
    func forget(_ key: ObjectKey, keeping kept: ObjectRecord?) throws(SystemFault) {
        let keptName = kept.map { Self.name(isMarker: false, $0.size, $0.modified) }
        try forget(key) { $0 != keptName }
    }

    /// Removes the sidecar that says that a directory is an object.
    func forgetMarker(_ key: ObjectKey) throws(SystemFault) {
        try forget(key) { $0 == Self.markerName }
    }

    private func forget(_ key: ObjectKey, where isObsolete: (String) -> Bool) throws(SystemFault) {
        let path = Self.directory(key)
        do {
            let directory = try tree.directory(path)
            for entry in try DirectoryEntries(of: directory).entries where isObsolete(entry.name) {
                _ = try FileTree.remove(entry.name, in: directory)
            }
        } catch let error where error.meansAbsent {
            return
        }
        try tree.prune(path, keeping: DirectoryLayout.sidecars.count) { _, _ in true }
    }

    private func sidecar(_ key: ObjectKey, _ status: FileStatus) throws(SystemFault) -> ObjectRecord? {
        let name = Self.name(isMarker: status.isDirectory, status.size, status.modified)
        guard let (file, sidecarStatus) = try tree.file(Self.directory(key) + [name]) else { return nil }
        return ObjectRecord(encoded: try file.contents(sidecarStatus))
    }

    private static let markerName = "marker"

    private static func directory(_ key: ObjectKey) -> [String] {
        DirectoryLayout.sidecars + [Checksum.hex(Checksum.digest(.sha256, of: key.string.utf8))]
    }

    private static func name(isMarker: Bool, _ size: Int64, _ modified: Int64) -> String {
        isMarker ? markerName : "\(size)-\(modified)"
    }
}

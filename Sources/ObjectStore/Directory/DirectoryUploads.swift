import CLinux

/// Multipart uploads of a ``DirectoryStore``: a directory each below `.sluice-store/uploads`, with the file `upload`
/// (key and metadata) and a file `NUMBER-MD5` for every part. They stay until they are completed or aborted.
struct DirectoryUploads: Sendable {
    private static let header = "sluice-upload 1"

    struct Upload {
        var key: ObjectKey
        var metadata: [String: String]
    }

    struct Part {
        var name: String
        var file: Descriptor
        var described: UploadedPart
    }

    let objects: DirectoryObjects
    private var tree: FileTree { objects.tree }

    init(_ objects: DirectoryObjects) {
        self.objects = objects
    }

    func create(_ key: ObjectKey, metadata: [String: String]) throws(SystemFault) -> UploadID {
        let half = { () -> String in
            let hex = String(UInt64.random(in: .min ... .max), radix: 16)
            return String(repeating: "0", count: 16 - hex.count) + hex
        }
        let id = half() + half()
        let directory = try tree.makeDirectory(DirectoryLayout.uploads + [id])
        let temporary = try TemporaryFile(in: tree)
        try temporary.file.write(Self.encode(key, metadata), at: 0)
        try temporary.file.synchronize()
        try temporary.place("upload", in: directory)
        try directory.synchronize()
        return UploadID(id)
    }

    /// The upload and its open directory. Throws `.noSuchUpload`.
    func find(_ id: UploadID, of key: ObjectKey) throws(StoreError) -> (upload: Upload, directory: Descriptor) {
        let found = try performing { () throws(SystemFault) in try open(id) }
        guard let found, found.upload.key == key else {
            throw StoreError(.noSuchUpload, code: "NoSuchUpload", message: "no upload \(id) of \(key)")
        }
        return found
    }

    /// Those of a key.
    func open(of key: ObjectKey) throws(SystemFault) -> [UploadID] {
        var found: [UploadID] = []
        do {
            for entry in try DirectoryEntries(of: try tree.directory(DirectoryLayout.uploads)).entries {
                let id = UploadID(entry.name)
                if try open(id)?.upload.key == key { found.append(id) }
            }
        } catch let error where error.meansAbsent {
            return found
        }
        return found
    }

    private func open(_ id: UploadID) throws(SystemFault) -> (upload: Upload, directory: Descriptor)? {
        guard Self.isID(id) else { return nil }
        do {
            let directory = try tree.directory(DirectoryLayout.uploads + [id.value])
            guard let (file, status) = try FileTree.file("upload", in: directory),
                let upload = Self.decode(try file.contents(status))
            else { return nil }
            return (upload, directory)
        } catch let error where error.meansAbsent {
            return nil
        }
    }

    /// Puts a finished file in place as a part, instead of a former one of that number.
    func add(
        _ temporary: TemporaryFile, number: Int, md5: String, to id: UploadID, of key: ObjectKey
    ) throws(StoreError) -> UploadedPart {
        try objects.locked { changed throws(StoreError) in
            let directory = try find(id, of: key).directory
            changed.append(directory)
            return try performing { () throws(SystemFault) in
                let name = Self.name(number, md5)
                try temporary.place(name, in: directory)
                for entry in try DirectoryEntries(of: directory).entries
                where entry.name != name && entry.name.hasPrefix(Self.name(number, "")) {
                    _ = try FileTree.remove(entry.name, in: directory)
                }
                return UploadedPart(number: number, etag: ETag(md5), size: try temporary.file.status().size, md5: md5)
            }
        }
    }

    /// Ascending by number.
    func parts(in directory: Descriptor) throws(SystemFault) -> [Part] {
        var parts: [Part] = []
        for entry in try DirectoryEntries(of: directory).entries {
            let pieces = entry.name.split(separator: "-")
            guard pieces.count == 2, let number = Int(pieces[0]), number > 0,
                let (file, status) = try FileTree.file(entry.name, in: directory)
            else { continue }
            let described = UploadedPart(number: number, etag: ETag(String(pieces[1])), size: status.size)
            parts.append(Part(name: entry.name, file: file, described: described))
        }
        return parts.sorted { $0.described.number < $1.described.number }
    }

    func remove(_ id: UploadID) throws(SystemFault) {
        guard Self.isID(id) else { return }
        do {
            let path = DirectoryLayout.uploads + [id.value]
            let directory = try tree.directory(path)
            // The file that makes it an upload goes first.
            _ = try FileTree.remove("upload", in: directory)
            for entry in try DirectoryEntries(of: directory).entries {
                _ = try FileTree.remove(entry.name, in: directory)
            }
            try tree.prune(path, keeping: DirectoryLayout.uploads.count) { _, _ in true }
        } catch let error where error.meansAbsent {
            return
        }
    }

    private static func name(_ number: Int, _ md5: String) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits + "-" + md5
    }

    private static func isID(_ id: UploadID) -> Bool {
        id.value.utf8.count == 32 && id.value.allSatisfy { $0.isHexDigit && $0.isASCII }
    }

    private static func encode(_ key: ObjectKey, _ metadata: [String: String]) -> [UInt8] {
        let record = ObjectRecord(etag: ETag(key.string), size: 0, modified: 0, metadata: metadata)
        return Array("\(header)\n".utf8) + record.encoded
    }

    private static func decode(_ bytes: [UInt8]) -> Upload? {
        let start = Array("\(header)\n".utf8)
        guard bytes.starts(with: start), let record = ObjectRecord(encoded: Array(bytes.dropFirst(start.count))) else {
            return nil
        }
        return Upload(key: ObjectKey(record.etag.value), metadata: record.metadata)
    }
}

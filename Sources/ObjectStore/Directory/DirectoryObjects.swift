import CLinux
import Platform

/// Finds, puts in place and removes the objects of a ``DirectoryStore``. Every call blocks on the disk.
///
/// An object is a file that is replaced by rename and never rewritten, so an open one stays the version that it was.
/// What changes names happens under the lock; bytes are written before, without it.
struct DirectoryObjects: Sendable {
    let tree: FileTree
    let records: DirectoryRecords
    private let lock: DirectoryLock

    init(tree: FileTree, usesAttributes: Bool) {
        self.tree = tree
        records = DirectoryRecords(tree: tree, usesAttributes: usesAttributes)
        lock = DirectoryLock(tree: tree)
    }

    /// An object as it was when it was found.
    struct Found {
        /// For a marker the directory.
        var file: Descriptor
        var status: FileStatus
        var record: ObjectRecord?
        var info: ObjectInfo
        var isMarker: Bool
    }

    // MARK: Finding

    /// An object that lies under its escaped name comes before one at its path.
    func find(_ key: ObjectKey) throws(SystemFault) -> Found? {
        if let (file, status) = try tree.file(DirectoryLayout.keys + DirectoryLayout.escapedPath(key)) {
            return try describe(file, status, key)
        }
        guard let path = DirectoryLayout.plainPath(key) else { return nil }
        if path.isMarker { return try findMarker(path.components, key) }
        guard let (file, status) = try tree.file(path.components) else { return nil }
        return try describe(file, status, key)
    }

    func describe(_ file: Descriptor, _ status: FileStatus, _ key: ObjectKey) throws(SystemFault) -> Found {
        let record = try records.record(of: file, status, key: key)
        let info = ObjectInfo(
            key: key, size: status.size, etag: record?.etag ?? Self.derivedETag(status),
            lastModified: Timestamp(nanoseconds: status.modified), metadata: record?.metadata ?? [:])
        return Found(file: file, status: status, record: record, info: info, isMarker: false)
    }

    /// A directory is an object if it was put as one, and also if it is empty: nothing else says that it exists.
    private func findMarker(_ path: [String], _ key: ObjectKey) throws(SystemFault) -> Found? {
        do {
            let directory = try tree.directory(path)
            return try describeMarker(directory, key) { () throws(SystemFault) in
                try DirectoryEntries.isEmpty(directory)
            }
        } catch let error where error.meansAbsent {
            return nil
        }
    }

    func describeMarker(
        _ directory: Descriptor, _ key: ObjectKey, isEmpty: () throws(SystemFault) -> Bool
    ) throws(SystemFault) -> Found? {
        let status = try directory.status()
        let record = try records.record(of: directory, status, key: key)
        if record == nil {
            guard try isEmpty() else { return nil }
        }
        let info = ObjectInfo(
            key: key, size: 0, etag: record?.etag ?? Self.emptyETag,
            lastModified: Timestamp(nanoseconds: record?.modified ?? status.modified),
            metadata: record?.metadata ?? [:])
        return Found(file: directory, status: status, record: record, info: info, isMarker: true)
    }

    static let emptyETag = ETag(Checksum.hex(Checksum.digest(.md5, of: [])))

    /// The version of a file that another program made: changes whenever the kernel saw its content or attributes
    /// change. Never looks like a digest.
    private static func derivedETag(_ status: FileStatus) -> ETag {
        let numbers = [Int64(bitPattern: status.inode), status.size, status.modified, status.changed]
        return ETag("file-" + numbers.map { String($0, radix: 16) }.joined(separator: "-"))
    }

    // MARK: Changing

    /// Writes the record onto a finished file and puts it in place if the condition holds; durable on return.
    func commit(
        _ temporary: TemporaryFile, as key: ObjectKey, etag: ETag, metadata: [String: String],
        condition: WriteCondition
    ) throws(StoreError) {
        let record = try performing { () throws(SystemFault) in
            let status = try temporary.file.status()
            let record = ObjectRecord(etag: etag, size: status.size, modified: status.modified, metadata: metadata)
            try records.store(record, on: temporary.file, key: key, isMarker: false)
            try temporary.file.synchronize()
            return record
        }
        try change(key, condition) { changed throws(SystemFault) in
            try place(temporary, key, &changed)
            try records.forget(key, keeping: record)
        }
    }

    /// Makes an empty object whose key ends in `/` a directory. False if something else has its place; then it must
    /// be committed as any object.
    func commitMarker(
        _ key: ObjectKey, metadata: [String: String], now: Timestamp, condition: WriteCondition
    ) throws(StoreError) -> Bool {
        guard let path = DirectoryLayout.plainPath(key), path.isMarker else { return false }
        let record = ObjectRecord(etag: Self.emptyETag, size: 0, modified: now.nanoseconds, metadata: metadata)
        return try change(key, condition) { changed throws(SystemFault) in
            guard let directory = try makePlainDirectory(path.components, &changed) else { return false }
            try records.store(record, on: directory, key: key, isMarker: true)
            changed.append(directory)
            try removeEscaped(key, &changed)
            return true
        }
    }

    func remove(_ key: ObjectKey, ifMatch: ETag?) throws(StoreError) {
        try locked { changed throws(StoreError) in
            guard let found = try performing({ () throws(SystemFault) in try find(key) }) else { return }
            if let ifMatch, found.info.etag != ifMatch { throw StoreError.conditionFailed(key) }
            try performing { () throws(SystemFault) in
                try removeEscaped(key, &changed)
                try removePlain(key, &changed)
                try records.forget(key, keeping: nil)
            }
        }
    }

    @discardableResult
    private func change<Value>(
        _ key: ObjectKey, _ condition: WriteCondition,
        _ body: (inout [Descriptor]) throws(SystemFault) -> Value
    ) throws(StoreError) -> Value {
        try locked { changed throws(StoreError) in
            try check(condition, on: key)
            return try performing { () throws(SystemFault) in try body(&changed) }
        }
    }

    /// The directories that changed are synchronized after the lock was given back.
    func locked<Value>(_ body: (inout [Descriptor]) throws(StoreError) -> Value) throws(StoreError) -> Value {
        var changed: [Descriptor] = []
        let value = try lock.locked { () throws(StoreError) in try body(&changed) }
        for directory in changed { try performing { () throws(SystemFault) in try directory.synchronize() } }
        return value
    }

    private func check(_ condition: WriteCondition, on key: ObjectKey) throws(StoreError) {
        if condition == .none { return }
        let found = try performing { () throws(SystemFault) in try find(key) }
        switch condition {
        case .none: return
        case .ifAbsent:
            if found != nil { throw StoreError.conditionFailed(key) }
        case .ifMatch(let etag):
            guard let found else { throw StoreError.notFound(key) }
            if found.info.etag != etag { throw StoreError.conditionFailed(key) }
        }
    }

    // MARK: Places

    private func place(
        _ temporary: TemporaryFile, _ key: ObjectKey, _ changed: inout [Descriptor]
    ) throws(SystemFault) {
        let path = DirectoryLayout.plainPath(key)
        if let path, !path.isMarker, try placePlain(temporary, path.components, &changed) {
            return try removeEscaped(key, &changed)
        }
        let escaped = DirectoryLayout.keys + DirectoryLayout.escapedPath(key)
        let directory = try tree.makeDirectory(escaped.dropLast(), changed: &changed)
        try temporary.place(escaped[escaped.count - 1], in: directory)
        changed.append(directory)
        if let path, path.isMarker { try unmark(path.components, &changed) }
    }

    /// False if the path is not free for a file. What is no object (a directory, a link, a pipe) is never replaced.
    private func placePlain(
        _ temporary: TemporaryFile, _ path: [String], _ changed: inout [Descriptor]
    ) throws(SystemFault) -> Bool {
        guard let name = path.last, let directory = try makePlainDirectory(path.dropLast(), &changed),
            try Self.isFree(name, in: directory)
        else { return false }
        do {
            try temporary.place(name, in: directory)
        } catch let error where error.code == ENAMETOOLONG {
            try prune(path.dropLast(), &changed)
            return false
        }
        changed.append(directory)
        return true
    }

    private static func isFree(_ name: String, in directory: Descriptor) throws(SystemFault) -> Bool {
        var status = stat()
        do {
            try SystemFault.check("fstatat") { fstatat(directory.raw, name, &status, AT_SYMLINK_NOFOLLOW) }
        } catch let error where error.code == ENOENT || error.code == ENAMETOOLONG {
            return error.code == ENOENT
        }
        return FileStatus(status).isFile
    }

    /// Nil if something that is no directory stands in the way, or the file system takes no such names.
    private func makePlainDirectory(
        _ path: [String], _ changed: inout [Descriptor]
    ) throws(SystemFault) -> Descriptor? {
        do {
            return try tree.makeDirectory(path, changed: &changed)
        } catch let error where [ENOTDIR, ELOOP, ENAMETOOLONG].contains(error.code) {
            try prune(path, &changed)
            return nil
        }
    }

    private func removeEscaped(_ key: ObjectKey, _ changed: inout [Descriptor]) throws(SystemFault) {
        let path = DirectoryLayout.keys + DirectoryLayout.escapedPath(key)
        do {
            let directory = try tree.directory(path.dropLast())
            guard try FileTree.remove(path[path.count - 1], in: directory) else { return }
            changed.append(directory)
        } catch let error where error.meansAbsent {
            return
        }
        try tree.prune(path.dropLast(), keeping: DirectoryLayout.keys.count) { _, _ in true }
    }

    private func removePlain(_ key: ObjectKey, _ changed: inout [Descriptor]) throws(SystemFault) {
        guard let path = DirectoryLayout.plainPath(key) else { return }
        if path.isMarker { return try unmark(path.components, &changed) }
        guard try tree.file(path.components) != nil else { return }
        let directory = try tree.directory(path.components.dropLast())
        _ = try FileTree.remove(path.components[path.components.count - 1], in: directory)
        changed.append(directory)
        try prune(path.components.dropLast(), &changed)
    }

    private func unmark(_ path: [String], _ changed: inout [Descriptor]) throws(SystemFault) {
        do {
            let directory = try tree.directory(path)
            try directory.removeAttribute(ObjectRecord.attribute)
            changed.append(directory)
        } catch let error where error.meansAbsent {
            return
        }
        try records.forgetMarker(ObjectKey(path.joined(separator: "/") + "/"))
        try prune(path, &changed)
    }

    /// Directories that held the last object of theirs and are no objects themselves go.
    private func prune(_ path: [String], _ changed: inout [Descriptor]) throws(SystemFault) {
        let last = try tree.prune(path, keeping: 0) { path, directory throws(SystemFault) in
            try !records.isMarked(directory, path: path)
        }
        if let last { changed.append(last) }
    }
}

extension StoreError {
    static func notFound(_ key: ObjectKey) -> StoreError {
        StoreError(.notFound, code: "NoSuchKey", message: "no object at \(key)")
    }

    static func conditionFailed(_ key: ObjectKey) -> StoreError {
        StoreError(.preconditionFailed, code: "PreconditionFailed", message: "\(key) is another version now")
    }
}

import Cache
import ObjectStore
import Platform
import SystemPackage
import TestKit
import Transfer

/// Compares a reference with what programs see of a mount, and with what a bucket holds.
enum Audit {
    /// What differs, a line each; `withBytes` reads every file.
    static func differences(
        between reference: ReferenceFileSystem, and calls: any PosixCalls, withBytes: Bool
    ) async throws -> [String] {
        var expected = reference
        var lines: [String] = []
        for path in [""] + reference.tree.keys.sorted() {
            for call in questions(on: path, reference.inode(at: path), withBytes: withBytes) {
                let right = expected.perform(call)
                let found = await CallInterpreter.outcome(of: call, calls)
                if !found.meets(right) { lines.append("\(call): \(found), expected \(right)") }
            }
            guard withBytes, case .file(let bytes) = reference.inode(at: path)?.body else { continue }
            let found = try await contents(path, calls)
            if found != .bytes(bytes) { lines.append("bytes of \(path): \(found), expected \(bytes)") }
        }
        return lines
    }

    private static func questions(
        on path: String, _ inode: ReferenceFileSystem.Inode?, withBytes: Bool
    ) -> [FileSystemCall] {
        switch inode?.body {
        case .directory: path.isEmpty ? [.list(path)] : [.stat(path), .list(path), .attributeNames(path)]
        case .link: [.stat(path), .readLink(path)]
        case .socket: [.stat(path)]
        case .file:
            [.stat(path), .attributeNames(path)] + (inode?.attributes.keys ?? [:].keys).map { .attribute(path, $0) }
        case nil: []
        }
    }

    private static func contents(_ path: String, _ calls: any PosixCalls) async throws -> CallOutcome {
        await CallInterpreter.outcome {
            let file = try await calls.open(path, .read)
            do {
                let bytes = try await calls.read(file, at: 0, count: 1 << 16)
                try await calls.close(file)
                return .bytes(bytes)
            } catch {
                try await calls.close(file)
                throw error
            }
        }
    }

    /// An object for each file, link and directory, with its bytes and attributes, and nothing besides.
    static func differences(between reference: ReferenceFileSystem, and bucket: MemoryStore) -> [String] {
        let tree = reference.tree
        let expected = Dictionary(
            uniqueKeysWithValues: tree.map { ($0.value.kind == .directory ? $0.key + "/" : $0.key, $0.value) })
        let keys = Set(bucket.keys.map(\.string))
        let lines =
            keys.subtracting(expected.keys).map { "an object without a file: \($0)" }
            + expected.flatMap { key, inode in differences(between: inode, and: bucket, at: key) }
        return lines.sorted()
    }

    private static func differences(
        between inode: ReferenceFileSystem.Inode, and bucket: MemoryStore, at key: String
    ) -> [String] {
        guard let bytes = bucket.bytes(ObjectKey(key)), let info = bucket.info(ObjectKey(key)) else {
            return ["no object: \(key)"]
        }
        var lines: [String] = []
        func compare<Value: Equatable>(_ what: String, _ found: Value, _ expected: Value) {
            if found != expected { lines.append("\(what) of the object \(key): \(found), expected \(expected)") }
        }
        let metadata = PosixMetadata(decoding: info.metadata)
        compare("bytes", bytes, inode.objectBytes)
        compare("kind", metadata.kind ?? .file, inode.storedKind)
        compare("permissions", metadata.permissions ?? 0o644, inode.permissions.bits & 0o1777)
        compare("user", metadata.userID ?? 0, inode.userID)
        compare("group", metadata.groupID ?? 0, inode.groupID)
        compare("extended attributes", metadata.extendedAttributes, inode.attributes)
        if let modified = inode.modified { compare("time", metadata.modified, modified) }
        return lines
    }
}

extension ReferenceFileSystem.Inode {
    /// The body of the object that the inode has in a bucket.
    var objectBytes: [UInt8] {
        switch body {
        case .file(let bytes): bytes
        case .directory, .socket: []
        case .link(let target): Array(target.utf8)
        }
    }

    fileprivate var storedKind: InodeKind {
        switch kind {
        case .file: .file
        case .directory: .directory
        case .link: .symbolicLink
        case .socket: .socket
        }
    }
}

import TestKit

import struct SystemPackage.Errno

@testable import WorldKit

/// What a mount must show after somebody else changed the bucket: docs/semantics.md, "Others who use the bucket".
enum OthersRules {
    /// Whether a change is one of those that the rules are for: of a file, in a directory that is one by itself.
    static func cover(_ change: OthersChange, in tree: ReferenceFileSystem) -> Bool {
        guard hasPlainParents(change.path, in: tree), tree.kind(change.path) != .directory,
            !tree.isOpenForWriting(change.path)
        else { return false }
        switch change {
        case .put(let path, let text): return tree.inode(at: path)?.objectBytes != Array(text.utf8)
        case .delete(let path): return tree.kind(path) != nil
        }
    }

    /// No part of the path is a link: it is the key.
    private static func hasPlainParents(_ path: String, in tree: ReferenceFileSystem) -> Bool {
        let components = path.split(separator: "/")
        return components.indices.allSatisfy { index in
            index == 0 || tree.kind(components[..<index].joined(separator: "/")) == .directory
        }
    }

    /// Nothing was pending here: theirs is what counts.
    static func outcome(of change: OthersChange, in tree: ReferenceFileSystem) throws(Errno) -> ReferenceFileSystem {
        var tree = tree
        switch change {
        case .put(let path, let text): try tree.receive(Array(text.utf8), at: path, permissions: 0o644)
        case .delete(let path): try tree.lose(path)
        }
        return tree
    }

    /// `before` was in the bucket when a program changed it to `after` and somebody else made `theirs` of it.
    /// `conflictName`: what the mount calls the copy beside theirs.
    static func outcome(
        of mine: LocalChange, from before: ReferenceFileSystem, to after: ReferenceFileSystem,
        against theirs: OthersChange,
        conflictName: String
    ) throws(Errno) -> ReferenceFileSystem {
        guard after != before else { return try outcome(of: theirs, in: after) }
        // The object of a link or a socket is so small that it is sent anew with its attributes.
        let isWrite = before.kind(theirs.path) != .file
        switch (mine, theirs) {
        case (.write, .delete), (.unlink, .delete), (.rename, .delete):
            // What was written here is sent again; what was deleted or replaced here had to go anyway.
            return after
        case (.chmod, .delete) where isWrite:
            return after
        case (.chmod, .put(let path, _)) where isWrite:
            return try outcome(of: theirs, in: after.moving(path, to: conflictName))
        case (.chmod, _), (.unlink, .put):
            return try outcome(of: theirs, in: after)
        case (.write, .put(let path, _)), (.rename, .put(let path, _)):
            return try outcome(of: theirs, in: after.moving(path, to: conflictName))
        }
    }

    /// Whether the rules say what comes of both changes.
    static func cover(
        _ mine: LocalChange, from before: ReferenceFileSystem, to after: ReferenceFileSystem,
        against theirs: OthersChange
    ) -> Bool {
        let paths: [String] =
            switch mine {
            case .write(let path, _), .unlink(let path), .chmod(let path, _): [path]
            case .rename(let path, let newPath): [path, newPath]
            }
        return cover(theirs, in: before) && after.kind(theirs.path) != .directory
            && paths.allSatisfy { hasPlainParents($0, in: before) && before.kind($0) != .link }
            && after.inode(at: theirs.path)?.objectBytes != theirs.objectBytes
    }
}

extension ReferenceFileSystem {
    fileprivate func moving(_ path: String, to newPath: String) -> ReferenceFileSystem {
        var tree = self
        _ = tree.perform(.rename(path, to: newPath, .replace))
        return tree
    }
}

extension OthersChange {
    fileprivate var objectBytes: [UInt8]? {
        guard case .put(_, let text) = self else { return nil }
        return Array(text.utf8)
    }
}

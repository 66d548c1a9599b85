import Platform
import TestKit

import struct SystemPackage.Errno

@testable import WorldKit

/// Everything that programs see of a mount at one moment.
struct TreeSnapshot {
    struct Node: Equatable {
        var status: FileStatus
        var bytes: [UInt8] = []
        var target = ""
        var attributes: [String: [UInt8]] = [:]
    }

    private(set) var nodes: [String: Node] = [:]

    /// Lists and reads everything.
    init(of calls: any PosixCalls) async throws {
        var open = [""]
        while let directory = open.popLast() {
            for name in try await calls.list(directory) {
                let path = directory.isEmpty ? name : directory + "/" + name
                let node = try await Self.node(path, calls)
                if node.status.kind == .directory { open.append(path) }
                nodes[path] = node
            }
        }
    }

    private static func node(_ path: String, _ calls: any PosixCalls) async throws -> Node {
        var node = Node(status: try await calls.status(path))
        switch node.status.kind {
        case .link: node.target = try await calls.readLink(path)
        case .file:
            let file = try await calls.open(path, .read, 0)
            node.bytes = try await calls.read(file, at: 0, count: 1 << 16)
            try await calls.close(file)
        case .directory, .socket: break
        }
        if node.status.kind == .file || node.status.kind == .directory {
            for name in try await calls.attributeNames(path) {
                node.attributes[name] = try await calls.attribute(path, name)
            }
        }
        return node
    }
}

// MARK: Comparison

extension TreeSnapshot {
    /// What differs from a tree, a line each. `allowsBytes`: told a file's number, its bytes there and those found.
    func differences(
        from expected: ReferenceFileSystem, allowsBytes: (Int, [UInt8], [UInt8]) -> Bool
    ) -> [String] {
        let tree = expected.tree
        var lines = Set(tree.keys).subtracting(nodes.keys).sorted().map { "\($0) is not there" }
        for (path, node) in nodes.sorted(by: { $0.key < $1.key }) {
            guard let inode = tree[path] else {
                lines.append("\(path) should not be there")
                continue
            }
            lines += Self.differences(node, inode, path) { allowsBytes(expected.number(at: path) ?? -1, $0, $1) }
        }
        return lines
    }

    private static func differences(
        _ node: Node, _ inode: ReferenceFileSystem.Inode, _ path: String, allowsBytes: ([UInt8], [UInt8]) -> Bool
    ) -> [String] {
        var lines: [String] = []
        func compare<Value: Equatable>(_ what: String, _ found: Value, _ expected: Value) {
            if found != expected { lines.append("\(what) of \(path): \(found), expected \(expected)") }
        }
        compare("kind", node.status.kind, inode.kind)
        compare("permissions", node.status.permissions, inode.permissions)
        compare("user", node.status.userID, inode.userID)
        compare("group", node.status.groupID, inode.groupID)
        compare("links", node.status.links ?? inode.links, inode.links)
        compare("attributes", node.attributes, inode.attributes)
        if let modified = inode.modified { compare("time", node.status.modified, modified) }
        switch inode.body {
        case .link(let target): compare("target", node.target, target)
        case .file(let bytes):
            compare("size", node.status.size, Int64(node.bytes.count))
            if !allowsBytes(bytes, node.bytes) {
                lines.append("bytes of \(path): \(text(node.bytes)), expected \(text(bytes))")
            }
        case .directory, .socket: break
        }
        return lines
    }

    static func text(_ bytes: [UInt8]) -> String {
        "\(String(decoding: bytes.map { $0 == 0 ? UInt8(ascii: "_") : $0 }, as: UTF8.self)) (\(bytes.count))"
    }
}

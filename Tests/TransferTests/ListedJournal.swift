import Cache
import TestKit
import Testing

/// What tests of listings do with a journal.
extension Journal {
    /// The directory that every journal has.
    func makeRoot(_ time: ManualTime) throws {
        _ = try write { transaction in
            try transaction.insertInode {
                Inode(number: $0, kind: .directory, permissions: 0o755, userID: 0, groupID: 0, time: time.wall)
            }
        }
    }

    func names(in directory: InodeNumber) throws -> [String] {
        try read { try $0.children(of: directory).elements.map(\.name.string) }
    }

    func inode(at path: String) throws -> Inode? { try read { try $0.inode(at: path) } }

    /// A name that was made here.
    func insert(
        _ name: String, _ kind: InodeKind, in parent: InodeNumber, _ time: ManualTime, _ change: (inout Inode) -> Void
    ) throws -> InodeNumber {
        let name = try #require(FileName(name))
        return try write { transaction in
            let inode = try transaction.insertInode {
                var inode = Inode(number: $0, kind: kind, permissions: 0o644, userID: 0, groupID: 0, time: time.wall)
                change(&inode)
                return inode
            }
            try transaction.link(name, in: parent, to: inode.number)
            return inode.number
        }
    }
}

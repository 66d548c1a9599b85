import Cache
import ObjectStore

/// What a store says of one name: the object of that key, and whether there are keys below it.
struct ProbeAnswer: Sendable {
    let key: ObjectKey
    /// Nil if there is none.
    let object: ObjectInfo?
    /// Whether `object` carries its user metadata.
    let hasMetadata: Bool
    let isDirectory: Bool

    /// As a listing would have had it.
    var page: ListPage {
        ListPage(
            objects: object.map { [$0] } ?? [], commonPrefixes: isDirectory ? [key.string + "/"] : [],
            continuation: nil)
    }
}

extension ListingMerge {
    /// Merges the answer for one name by the rules of a listing that is of nothing else.
    mutating func apply(_ answer: ProbeAnswer, for name: FileName, in transaction: JournalTransaction) throws {
        try apply(answer.page, in: transaction)
        try settle(try names(of: answer, for: name, in: transaction), in: transaction)
        try uncoverAll(in: transaction)
        try takeMetadata(of: answer, for: name, in: transaction)
    }

    /// The names that the answer speaks of: the one that was asked for, and that of its object while a directory covers
    /// it.
    private func names(
        of answer: ProbeAnswer, for name: FileName, in transaction: JournalTransaction
    ) throws -> [(name: FileName, inode: InodeNumber)] {
        try [name, name.covered].compactMap { candidate in
            guard let candidate, let number = try transaction.child(candidate, of: directory),
                let inode = try transaction.inode(number)
            else { return nil }
            return candidate == name || inode.remote?.key == answer.key ? (candidate, number) : nil
        }
    }

    /// Saves a request for the attributes. The target of a symbolic link is not in the metadata: it takes one.
    private func takeMetadata(
        of answer: ProbeAnswer, for name: FileName, in transaction: JournalTransaction
    ) throws {
        guard answer.hasMetadata, let object = answer.object, let number = try transaction.child(name, of: directory),
            var inode = try transaction.inode(number), inode.kind == .file, !inode.isMetadataKnown,
            inode.remote == RemoteObject(key: object.key, etag: object.etag, size: object.size)
        else { return }
        let metadata = PosixMetadata(decoding: object.metadata)
        guard metadata.kind != .symbolicLink else { return }
        try metadata.apply(to: &inode, target: nil, in: transaction)
        try transaction.update(inode)
    }
}

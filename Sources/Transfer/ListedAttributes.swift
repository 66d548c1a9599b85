import Cache
import Logging
import ObjectStore
import Synchronization

/// Where the attributes of files come from that nobody changed here. The raw values are those of the configuration.
public enum AttributeSource: String, Sendable {
    /// From each object's metadata, but from the listing where the objects asked so far have none.
    case auto
    /// From each object's metadata.
    case exact
    /// From the listing alone, until a file is read or changed.
    case listed
}

/// Says whether a file can be shown as a listing tells it, and learns from what objects turn out to be.
///
/// Thread rule: any thread; asks the journal, so not inside of its transactions.
public final class ListedAttributes: Sendable {
    private let source: AttributeSource
    private let journal: Journal
    private let logger: Logger
    private let evidence = Mutex(AttributeEvidence())

    public init(_ source: AttributeSource, journal: Journal, logger: Logger) {
        self.source = source
        self.journal = journal
        self.logger = logger
    }

    /// A directory and those above it, by which it is judged.
    public struct Place: Sendable {
        fileprivate var path: [InodeNumber]
    }

    public func place(of directory: InodeNumber) -> Place {
        Place(path: source == .auto ? path(from: directory) : [])
    }

    /// Whether no request is needed to show an inode that a directory has.
    public func suffice(for inode: Inode, in place: @autoclosure () -> Place) -> Bool {
        if inode.isMetadataKnown { return true }
        switch source {
        case .exact: return false
        case .listed: return true
        case .auto:
            let path = place().path
            return evidence.withLock { $0.trusts(inode.number, in: path) }
        }
    }

    /// Whether files that a directory has are shown as listed, but for a few.
    public func areTrusted(in place: Place) -> Bool {
        switch source {
        case .exact: false
        case .listed: true
        case .auto: evidence.withLock { $0.isTrusted(place.path) }
        }
    }

    /// Files that came up in a directory after its first listing.
    func except(_ files: [InodeNumber]) {
        if source == .auto { evidence.withLock { $0.except(files) } }
    }

    /// What an object's metadata says; nil for a directory that has no object.
    func learned(_ metadata: PosixMetadata?, of inode: InodeNumber) {
        guard source == .auto, let parent = told({ try journal.read { try $0.name(of: inode)?.parent } }) ?? nil
        else { return }
        let path = path(from: parent)
        evidence.withLock { $0.learned(isPlain: metadata?.isPlain ?? true, in: path) }
    }

    /// What came with bytes of an object: it may show that a file was trusted wrongly.
    public func saw(_ info: ObjectInfo, of inode: InodeNumber) {
        guard source == .auto, !info.metadata.isEmpty, let row = told({ try journal.inode(inode) }) ?? nil,
            !row.isMetadataKnown
        else { return }
        let metadata = PosixMetadata(decoding: info.metadata)
        if !metadata.isPlain { learned(metadata, of: inode) }
    }

    private func path(from directory: InodeNumber) -> [InodeNumber] {
        let path = told {
            try journal.read { transaction in
                var path = [directory]
                while path.count <= AttributeEvidence.reach {
                    guard let parent = try transaction.name(of: path[path.count - 1])?.parent else { break }
                    path.append(parent)
                }
                return path
            }
        }
        return path ?? []
    }

    /// What the journal tells; nil if it cannot be read, which is logged.
    private func told<Value>(_ ask: () throws -> Value) -> Value? {
        do {
            return try ask()
        } catch {
            logger.warning("cannot read the journal", metadata: ["error": "\(error)"])
            return nil
        }
    }
}

extension PosixMetadata {
    /// Whether it tells nothing of a file.
    var isPlain: Bool {
        var other = self
        other.uploadToken = nil
        return other == PosixMetadata()
    }
}

import Cache
import Synchronization

/// An open directory: the names it had when reading began, so that a reader sees each once whatever is created and
/// deleted meanwhile; read anew after rewinddir(3).
final class DirectoryStream: Sendable {
    struct Item: Sendable {
        var name: FileName
        var inode: InodeNumber
        /// Nil if only the object's metadata could tell.
        var kind: InodeKind?
        var isMetadataKnown: Bool
    }

    let directory: InodeNumber
    let items = Mutex<[Item]?>(nil)

    init(directory: InodeNumber) {
        self.directory = directory
    }
}

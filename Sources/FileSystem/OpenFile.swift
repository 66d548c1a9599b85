import Cache
import Synchronization
import Transfer

/// An open file: one for each handle of the kernel.
final class OpenFile: Sendable {
    let file: CachedFile
    let mode: OpenMode
    /// The file had set-user-ID or set-group-ID bits when it was opened: the first write takes them away.
    let mustDropSetID: Atomic<Bool>

    let readAhead = Mutex(ReadAhead())

    init(file: CachedFile, mode: OpenMode, mustDropSetID: Bool) {
        self.file = file
        self.mode = mode
        self.mustDropSetID = Atomic(mustDropSetID)
    }
}

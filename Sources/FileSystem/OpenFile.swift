import Cache
import Synchronization
import Transfer

/// An open file: one for each handle of the kernel.
final class OpenFile: Sendable {
    let file: CachedFile
    let mode: OpenMode
    /// The file got set-user-ID or set-group-ID bits, before it was opened or since the last write, which the next one
    /// takes away.
    let mustDropSetID: Atomic<Bool>

    let readAhead = Mutex(ReadAhead())

    init(file: CachedFile, mode: OpenMode, mustDropSetID: Bool) {
        self.file = file
        self.mode = mode
        self.mustDropSetID = Atomic(mustDropSetID)
    }
}

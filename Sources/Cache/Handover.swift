import Platform

/// What is known of a data file that programs reach past this process: the kernel moves their bytes (FUSE passthrough).
struct Handover: Sendable {
    /// Open handles of programs that go past this process.
    var handles = 0
    /// Of these, the ones that write.
    var writers = 0
    /// One of them was for reading and writing: what it mapped may outlive it, and is stored into unseen.
    var mayBeMapped = false
    /// The data file when it was last looked at; nil while nobody writes.
    var seen: DiskFileStatus?
    /// The last sync began when the file was at rest: it left nothing out that will not show.
    var isSynced = false
    var former: Former?
    /// Of ``CachedFile/Version/changes``, when the file was last sent as it was.
    var sent: UInt64?

    /// What a file was that is in the bucket: it is that again if nobody wrote in the end.
    struct Former: Sendable {
        let base: RemoteObject?
        let checksums: BlockChecksums
        let isWhollyChecked: Bool
    }

    var isForWriting: Bool { writers > 0 || mayBeMapped }
}

extension Handover.Former {
    /// Of a file that was sent as it is.
    init(sentAs object: RemoteObject) {
        self.init(base: object, checksums: BlockChecksums(isStored: false), isWhollyChecked: false)
    }
}

import Cache

/// What write-back is doing, for people.
public struct WritebackStatus: Equatable, Sendable {
    public struct Upload: Equatable, Sendable {
        /// Below the root of the mount.
        public var path: String
        public var bytesDone: Int64
        public var bytesTotal: Int64
    }

    public struct Failure: Equatable, Sendable {
        /// Below the root of the mount; of an object that is to be deleted, its key.
        public var path: String
        public var message: String
    }

    /// Under way now, by path.
    public var uploading: [Upload]
    public var uploadBytesPerSecond: Double
    public var link: LinkState.Condition
    /// Why the store cannot be reached; nil while it can.
    public var linkReason: String?
    /// The last failure of each file that did not succeed since, by path.
    public var errors: [Failure]
    /// What this store cannot do.
    public var warnings: [String]
}

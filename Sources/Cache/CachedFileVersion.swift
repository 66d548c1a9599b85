extension CachedFile {
    /// A moment of the file's bytes.
    public struct Version: Equatable, Sendable {
        public var changes: UInt64
        /// Equal to a later version's: up to this version's size, the file still is as it was.
        public var rewrites: UInt64
        /// Bytes.
        public var size: Int64
        /// Whether later changes raise the numbers without fail. False while programs write past this object: then only
        /// bytes that were read twice, and the same, are known to have been so at one moment, the one in between.
        public var isExact = true
        /// Whether what programs wrote past this object after that would show in the time of the file.
        var isResting = false

        public static func == (one: Version, other: Version) -> Bool {
            one.changes == other.changes && one.rewrites == other.rewrites && one.size == other.size
                && one.isExact == other.isExact
        }
    }
}

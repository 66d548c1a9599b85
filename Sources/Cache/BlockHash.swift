import CXXHash

/// XXH3 of bytes that come piece by piece.
///
/// Not safe for use by several threads at once.
final class BlockHash {
    private let state: OpaquePointer

    init() {
        guard let state = XXH3_createState() else { preconditionFailure("no memory for 576 bytes") }
        self.state = state
        XXH3_64bits_reset(state)
    }

    deinit { XXH3_freeState(state) }

    func update(_ bytes: UnsafeRawBufferPointer) { sluice_xxh3_update(state, bytes.baseAddress, bytes.count) }

    /// Never 0. The next bytes begin anew.
    func finish() -> UInt64 {
        defer { XXH3_64bits_reset(state) }
        return max(1, XXH3_64bits_digest(state))
    }

    /// Of bytes that are all in memory; never 0.
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        let hash = BlockHash()
        hash.update(bytes)
        return hash.finish()
    }
}

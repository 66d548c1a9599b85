import ObjectStore

/// Compares a body that comes piece by piece with what its headers promised.
///
/// SAFETY: `add` is called by the one thread that receives the body, one call at a time, `isKept` when no more comes.
final class BodyCheck: @unchecked Sendable {
    let promised: PromisedChecksum
    private let running: Checksum

    init(_ promised: PromisedChecksum) {
        self.promised = promised
        running = Checksum(promised.algorithm)
    }

    func add(_ bytes: UnsafeRawBufferPointer) { running.update(bytes) }

    /// Whether what was added is what was promised. Ends the check.
    func isKept() -> Bool { promised.isKept(by: running.finish()) }
}

import Platform

/// Bytes that are sent: random access, so that a retry and a checksum pass can read them again.
///
/// Called from a transport's thread, one call at a time for one transfer; several transfers may read one source at
/// once. A read takes local disk time, never network time.
public protocol ByteSource: Sendable {
    /// Bytes in all; constant for the life of the source.
    var count: Int64 { get }

    /// Fills the whole of `buffer` with the bytes at `offset`. Throws when they cannot be read, also when the
    /// source has become shorter: then the transfer fails and nothing half-sent becomes an object.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws
}

/// Where received bytes go, in order and without gaps from the first byte asked for.
///
/// Called from a transport's thread, one call at a time for one transfer. Throwing ends the transfer.
public protocol ByteSink: Sendable {
    /// Called once, before the first bytes, with what the answer's headers said of the object.
    func begin(_ info: ObjectInfo) throws

    /// `offset` is the place of the first byte in the object.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws
}

/// libfuse's session.
///
/// SAFETY: libfuse guards a session by its own locks; it is freed by ``FuseSession/join()`` alone, after every
/// thread that uses it has left.
struct SessionPointer: @unchecked Sendable {
    let raw: OpaquePointer
}

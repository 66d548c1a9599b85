/// Takes the body of an answer as it arrives. Called on the transport's thread, in order; a ``StoreError`` that it
/// throws becomes the failure of the request.
protocol BodyReceiver: AnyObject, Sendable {
    /// The headers are there. Returns whether this body is wanted: if not (an error's), it is collected as usual.
    func begin(_ head: HTTPResponse) throws -> Bool

    func receive(_ bytes: UnsafeRawBufferPointer) throws
}

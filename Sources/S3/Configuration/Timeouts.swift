/// When a request is given up. None bounds a whole transfer: on a slow link a large one may last for hours.
public struct Timeouts: Equatable, Sendable {
    /// Until name, TCP and TLS are settled.
    public var connect: Duration = .seconds(10)
    /// Without a byte in either direction. 30 s as AWS's own runtime: longer than a cell handover, shorter than the
    /// patience of a reader.
    public var stall: Duration = .seconds(30)
    /// The same for requests in which the server works before it answers: copies and the completion of an upload.
    public var slowAnswer: Duration = .seconds(300)

    public init() {}
}

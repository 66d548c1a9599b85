/// A setting that cannot be used; the message is one sentence for people that names the setting.
public struct S3ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    public let message: String

    public init(_ message: String) { self.message = message }

    public var description: String { message }
}

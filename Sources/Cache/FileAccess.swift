/// What a program opens a file for, as far as that matters for bytes that go past this process.
public enum FileAccess: Sendable {
    case reading
    case writing
    /// Such a handle may be mapped for storing, and a mapping outlives its handle.
    case both

    var writes: Bool { self != .reading }
}

/// The condition did not come about.
public struct NeverCameAbout: Error {}

/// Waits for what other tasks bring about. Throws ``NeverCameAbout`` after a minute or more, so that a defect ends a
/// test instead of hanging it.
public func waitUntil(_ condition: () async throws -> Bool) async throws {
    for _ in 0..<60_000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(1))
    }
    throw NeverCameAbout()
}

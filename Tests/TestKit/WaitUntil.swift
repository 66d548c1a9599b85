/// The condition did not come about.
public struct NeverCameAbout: Error {
    public init() {}
}

/// Whether something comes true that other tasks bring about; waits some minutes at most, as they may hold the threads.
public func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(300)
    while ContinuousClock.now < end {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(1))
    }
    return try await condition()
}

/// The same, where a test cannot go on without it. Throws ``NeverCameAbout``, so that a defect ends a test instead of
/// hanging it.
public func waitUntil(_ condition: () async throws -> Bool) async throws {
    guard try await eventually(condition) else { throw NeverCameAbout() }
}

import TestKit
import Testing

@testable import WorldKit

/// Any history of programs, mounts and others' changes: each call answers as POSIX says, and the bucket becomes the
/// tree, byte for byte. ``Histories`` says how to run more of them.
@Suite struct ModelTests {
    @Test func anyHistoryIsThatOfTheReference() async throws {
        let failure = try await Histories(.layer, count: 10_000).firstFailure()
        #expect(failure == nil, "\(failure.map { "\($0)" } ?? "")")
    }

    @Test func anyHistoryPastTheFileSystemIsThatOfTheReference() async throws {
        let failure = try await Histories(.passthrough, count: 3_000).firstFailure()
        #expect(failure == nil, "\(failure.map { "\($0)" } ?? "")")
    }

    @Test func anyHistoryThroughAMountIsThatOfTheReference() async throws {
        let failure = try await Histories(.mount, count: 300).firstFailure()
        #expect(failure == nil, "\(failure.map { "\($0)" } ?? "")")
    }
}

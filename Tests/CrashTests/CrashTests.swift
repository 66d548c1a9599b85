import TestKit
import Testing

/// Histories of programs on a simulated disk, with deaths of the process and power cuts at any call to it, also while
/// a former one is recovered from: what returned calls have promised is there, and in the end everything is in the
/// bucket. ``CrashHistories`` says how to run more of them, and how to repeat one.
///
/// Not modelled: the kernel's side of FUSE (its cache, requests under way when the process dies); threads that run at the
/// same instant (everything runs on one, in an order by seed); requests that take effect after later ones
/// (LateRequestTests); others who use the bucket (ModelTests); programs that write on past a daemon that died, and what
/// they map (HandoverTests, test_passthrough.py); a disk that lies about a sync or returns other bytes than it was given;
/// file systems that lose what was synced.
@Suite struct CrashTests {
    @Test func whatReturnedCallsPromisedSurvivesAnyCrash() async throws {
        let sum = try await CrashHistories(crashes: 20_000).run()
        #expect(sum.failure == nil, "\(sum.failure.map { "\($0)" } ?? "")")
        print("\(sum.histories) histories, \(sum.crashes) crashes, \(sum.crashedStarts) of them during a start")
    }
}

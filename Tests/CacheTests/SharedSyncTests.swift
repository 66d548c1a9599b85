import Glibc
import Platform
import Synchronization
import SystemPackage
import TestKit
import Testing

@testable import Cache

/// Tasks that wait for one sync together.
@Suite struct SharedSyncTests {
    /// A sync that takes as long as it is held.
    private final class HeldSync: Sendable {
        let asked = Atomic(0)
        let begun = Atomic(0)
        let isHeld = Atomic(true)
        let failure: CacheError?

        init(failure: CacheError? = nil) { self.failure = failure }

        func run() -> SharedSync.Outcome {
            begun.add(1, ordering: .sequentiallyConsistent)
            while isHeld.load(ordering: .sequentiallyConsistent) { usleep(100) }
            return failure.map { .failure($0) } ?? .success(())
        }
    }

    private let directory: TemporaryDirectory
    private let disk: PosixDisk
    private let shared = SharedSync()

    init() throws {
        directory = try TemporaryDirectory()
        disk = try PosixDisk(path: directory.path)
    }

    @Test func whoAsksDuringASyncHasTheNextOneWithTheOthers() async throws {
        let sync = HeldSync()
        let late = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask { try await wait(sync) }
            try await waitUntil { sync.begun.load(ordering: .sequentiallyConsistent) == 1 }
            for _ in 0..<50 { group.addTask { try await wait(sync) } }
            try await waitUntil { sync.asked.load(ordering: .sequentiallyConsistent) == 51 }
            sync.isHeld.store(false, ordering: .sequentiallyConsistent)
            return try await group.reduce(into: 0) { count, isServed in count += isServed ? 0 : 1 }
        }
        #expect(late == 0)
        // Some may have counted as asking and been late all the same.
        #expect((2...10).contains(sync.begun.load(ordering: .sequentiallyConsistent)))
    }

    /// Whether a sync began after the call.
    private func wait(_ sync: HeldSync) async throws -> Bool {
        let before = sync.begun.load(ordering: .sequentiallyConsistent)
        sync.asked.add(1, ordering: .sequentiallyConsistent)
        try await shared.wait(on: disk) { sync.run() }.get()
        return sync.begun.load(ordering: .sequentiallyConsistent) > before
    }

    @Test func aFailureIsToldToAllAndTheNextCallSyncsAgain() async throws {
        let sync = HeldSync(failure: .system(.ioError, during: "syncing the journal"))
        sync.isHeld.store(false, ordering: .sequentiallyConsistent)
        for count in 1...3 {
            let outcome = await shared.wait(on: disk) { sync.run() }
            #expect(throws: CacheError.self) { try outcome.get() }
            #expect(sync.begun.load(ordering: .sequentiallyConsistent) == count)
        }
    }

    @Test func aJournalThatWasSyncedAsideSurvivesWhatIsNotSynced() async throws {
        let simulated = SimulatedDisk(seed: 1)
        let path = SimulatedVFS.uri(of: StateDirectory.journalName, on: simulated)
        let journal = try Journal(path: path, on: simulated)
        try journal.write { try $0.setProperty("kept", "yes") }
        try await journal.synchronizeAside()
        try journal.write { try $0.setProperty("lost", "yes") }
        simulated.crash()
        try simulated.restart(after: .powerCut(oneIn: .max))
        let next = try Journal(path: path, on: simulated)
        #expect(try next.read { try $0.property("kept") } == "yes")
        #expect(try next.read { try $0.property("lost") } == nil)
    }
}

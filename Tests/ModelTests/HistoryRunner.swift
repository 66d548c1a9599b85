import Cache
import ObjectStore
import Platform
import Synchronization
import TestKit
import Transfer

import struct SystemPackage.Errno

@testable import WorldKit

/// Carries a history out in a world and, beside it, on the reference; says where the two part.
struct HistoryRunner {
    struct Failure: Error, CustomStringConvertible {
        var step: Int
        var operation: Operation
        var reason: String

        var description: String { "step \(step), \(operation): \(reason)" }
    }

    /// A difference, by the check that found it.
    private struct Difference: Error {
        var reason: String
    }

    private let stage: Stage
    private let patience: Duration
    private let store = MemoryStore(multipartLimits: .small)
    private var state: WorldState
    private var time = ManualTime()
    private var scene: Scene
    private var interpreter: CallInterpreter
    private var reference: ReferenceFileSystem

    /// Nil if all was as it must be.
    ///
    /// `patience`: how long the mount may take to come to rest.
    static func failure(
        of history: [Operation], on stage: Stage, patience: Duration = .seconds(300)
    ) async throws -> Failure? {
        var runner = try HistoryRunner(stage, patience)
        let failure = await runner.run(history)
        try await runner.end()
        return failure
    }

    private init(_ stage: Stage, _ patience: Duration) throws {
        self.stage = stage
        self.patience = patience
        state = try WorldState.light()
        scene = try Scene(Self.world(store, state, time, stage), stage)
        interpreter = CallInterpreter(scene.calls)
        reference = ReferenceFileSystem(userID: stage.owner.user, groupID: stage.owner.group)
    }

    private static func world(
        _ store: MemoryStore, _ state: WorldState, _ time: ManualTime, _ stage: Stage
    ) throws -> World {
        try World(store: store, state: state, time: time, writeback: .smallParts, limits: stage.limits)
    }

    private mutating func run(_ history: [Operation]) async -> Failure? {
        for (step, operation) in history.enumerated() {
            do {
                try await perform(operation)
            } catch let difference as Difference {
                return Failure(step: step, operation: operation, reason: difference.reason)
            } catch {
                return Failure(step: step, operation: operation, reason: "\(error)")
            }
        }
        return nil
    }

    private mutating func end() async throws {
        await interpreter.closeAll()
        try await scene.world.die()
        await scene.end()
        // Whoever still waits for the clock holds files open.
        time.advance(by: .seconds(1_000_000))
    }

    private mutating func perform(_ operation: Operation) async throws {
        switch operation {
        case .call(.chown) where !stage.mayGiveAway: break
        case .call(let call): try await perform(call)
        case .check: try await compare(withBytes: true)
        case .drain: try await drain()
        case .settle: try await settle()
        case .evict: try scene.world.letGo()
        case .remount: try await remount()
        case .kill: try await kill()
        case .forget: try await forget()
        case .others(let theirs): try await receive(theirs)
        case .race(let mine, let theirs): try await race(mine, theirs)
        }
    }

    private mutating func perform(_ call: FileSystemCall) async throws {
        let mayBeStale = reference.mayBeStale(call)
        let expected = reference.perform(call)
        let found = await interpreter.perform(call)
        if mayBeStale && found == .failed(.staleNFSFileHandle) { return }
        guard found.meets(expected) else { throw Difference(reason: "\(found), expected \(expected)") }
    }
}

// MARK: Mounts

extension HistoryRunner {
    private mutating func enter(_ state: WorldState) async throws {
        self.state = state
        scene = try Scene(Self.world(store, state, time, stage), stage)
        interpreter = CallInterpreter(scene.calls)
        try await compare(withBytes: false)
    }

    private mutating func leave() async throws {
        await interpreter.closeAll()
        reference.closeAll()
        await scene.end()
        try await scene.world.stop()
    }

    private mutating func remount() async throws {
        try await leave()
        try await enter(state)
    }

    private mutating func kill() async throws {
        reference.closeAll()
        try await scene.world.die()
        if stage == .mount { await interpreter.closeAll() }
        await scene.end()
        try await enter(state)
    }

    private mutating func forget() async throws {
        await interpreter.closeAll()
        reference.closeAll()
        try await drain()
        try await leave()
        reference.forgetWhatNoBucketHolds()
        try await enter(WorldState.light())
    }
}

// MARK: The bucket

extension HistoryRunner {
    /// Lets the clock run until something is so. False if it never is.
    private func wait(until isSo: () throws -> Bool) async throws -> Bool {
        let end = ContinuousClock.now + patience
        var round = 0
        while try !isSo() {
            guard ContinuousClock.now < end else { return false }
            round += 1
            if round % 10 == 0 { time.advance(by: .milliseconds(300)) }
            if round < 200 { await Task.yield() } else { try await Task.sleep(for: .milliseconds(1)) }
        }
        return true
    }

    private func drain() async throws {
        try await sendAll()
        try await compareBucket()
    }

    private func sendAll() async throws {
        let world = scene.world
        let isDone = Atomic(false)
        // A drain that fails or is cancelled leaves something pending, which the comparison finds.
        let task = Task {
            defer { isDone.store(true, ordering: .relaxed) }
            try await world.drain()
        }
        defer { task.cancel() }
        guard try await wait(until: { isDone.load(ordering: .relaxed) }) else {
            throw Difference(reason: "draining does not end: \(try world.pending())")
        }
    }

    private mutating func settle() async throws {
        await interpreter.closeAll()
        reference.closeAll()
        let world = scene.world
        guard try await wait(until: { try world.pending().isEmpty }) else {
            throw Difference(reason: "the bucket is not brought up: \(try world.pending())")
        }
        try await compareBucket()
    }

    private func compareBucket() async throws {
        let differences = Audit.differences(between: reference, and: store)
        guard differences.isEmpty else { throw Difference(reason: differences.joined(separator: "; ")) }
        guard try await wait(until: { store.openUploads == 0 }) else {
            throw Difference(reason: "an upload in parts was left in the bucket")
        }
    }

    private func compare(withBytes: Bool) async throws {
        var differences: [String] = []
        // The kernel is told of others' changes in the background.
        for attempt in 0..<(stage == .mount ? 1500 : 1) {
            if attempt > 0 { try await Task.sleep(for: .milliseconds(20)) }
            differences = try await Audit.differences(between: reference, and: scene.calls, withBytes: withBytes)
            if differences.isEmpty { return }
        }
        throw Difference(reason: differences.joined(separator: "; "))
    }
}

// MARK: Others

extension HistoryRunner {
    private mutating func receive(_ change: OthersChange) async throws {
        try await drain()
        guard OthersRules.cover(change, in: reference) else { return }
        store.perform(change)
        try await look()
        reference = try OthersRules.outcome(of: change, in: reference)
        try await compare(withBytes: true)
    }

    private mutating func race(_ mine: LocalChange, _ theirs: OthersChange) async throws {
        try await drain()
        scene.world.writeback.pause()
        let before = reference
        for call in mine.calls { try await perform(call) }
        guard OthersRules.cover(mine, from: before, to: reference, against: theirs) else {
            scene.world.writeback.resume()
            return
        }
        store.perform(theirs)
        scene.world.writeback.resume()
        try await look()
        try await sendAll()
        try await look()
        reference = try OthersRules.outcome(
            of: mine, from: before, to: reference, against: theirs,
            conflictName: try await conflictName(beside: theirs.path))
        try await compare(withBytes: true)
        try await compareBucket()
    }

    /// What is known of the bucket is too old, and somebody asks: twice, as the first may share a listing that began
    /// before. Nobody waits for one that began long before by a clock that runs ahead of this machine: that has to end
    /// first.
    private func look() async throws {
        for _ in 0..<2 {
            guard await scene.world.comesTrue(scene.world.isListed) else { throw NeverCameAbout() }
            time.advance(by: .seconds(10))
            for path in [""] + reference.tree.filter({ $0.value.kind == .directory }).keys.sorted() {
                _ = try await scene.calls.list(path)
            }
        }
    }

    private func conflictName(beside path: String) async throws -> String {
        let parent = path.split(separator: "/").dropLast().joined(separator: "/")
        let prefix = parent.isEmpty ? "" : parent + "/"
        let names = try await scene.calls.list(parent).map { prefix + $0 }
        let copy = names.first { $0.hasPrefix(path + ".conflict-robot-") && reference.kind($0) == nil }
        return copy ?? path + ".conflict"
    }
}

extension ReferenceFileSystem {
    /// Whether a call reads bytes that may be nowhere any more.
    fileprivate func mayBeStale(_ call: FileSystemCall) -> Bool {
        guard case .read(let slot, _, _) = call else { return false }
        return openInode(slot)?.isLostElsewhere == true
    }
}

extension MemoryStore {
    fileprivate func perform(_ change: OthersChange) {
        switch change {
        case .put(let path, let text): set(ObjectKey(path), Array(text.utf8))
        case .delete(let path): remove(ObjectKey(path))
        }
    }
}

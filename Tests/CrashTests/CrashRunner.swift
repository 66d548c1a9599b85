import Cache
import ObjectStore
import Platform
import Synchronization
import TestKit
import Transfer

import struct SystemPackage.Errno

@testable import WorldKit

/// Carries a history with crashes out on a disk that forgets, and says where more was lost than was allowed to be.
struct CrashRunner {
    struct Failure: Error, CustomStringConvertible {
        var step: Int
        var operation: CrashOperation?
        var reason: String

        var description: String {
            "step \(step), \(operation.map { "\($0)" } ?? "the end"): \(reason)"
        }
    }

    struct Outcome {
        /// Ends of processes in the midst of something.
        var crashes = 0
        /// Of these, the ones during a start.
        var crashedStarts = 0
        var failure: Failure?
    }

    /// A breach of a promise.
    private struct Breach: Error {
        var reason: String
    }

    /// What a crash does when it comes.
    private struct Plan {
        var end: CrashEnd
        var again: [CrashOperation.Again]
    }

    private var world: World { scene.world }
    private let scheduler: SerialScheduler
    private let time: ManualTime
    private let disk: SimulatedDisk
    private let store = MemoryStore(multipartLimits: .small)
    private let link: CrashLink
    /// In every other history the kernel moves bytes of open files by itself, where it may.
    private let stage: Stage
    private var scene: Scene
    private var interpreter: CallInterpreter
    private var state: WorldState
    private var promises: Promises
    private var plan: Plan?
    private var outcome = Outcome()
    private var wasCut = false
    /// Objects that were looked at.
    private var seen: [ObjectKey: ETag] = [:]

    /// Runs a history; the same seed gives the same order of everything that runs at once.
    static func outcome(of history: [CrashOperation], seed: UInt64, template: SimulatedDisk) async throws -> Outcome {
        let time = ManualTime()
        return try await SerialScheduler.run(seed: seed, time: time) { scheduler in
            var runner = try CrashRunner(seed, scheduler, time, template)
            await runner.run(history)
            return runner.outcome
        }
    }

    /// A disk on which a mount began and ended.
    static func template() async throws -> SimulatedDisk {
        let (disk, time) = (SimulatedDisk(seed: 0), ManualTime())
        try await SerialScheduler.run(seed: 0, time: time) { _ in
            try await World(state: WorldState(on: disk), time: time).stop()
        }
        return disk
    }

    private init(
        _ seed: UInt64, _ scheduler: SerialScheduler, _ time: ManualTime, _ template: SimulatedDisk
    ) throws {
        self.scheduler = scheduler
        self.time = time
        disk = try SimulatedDisk(copying: template, seed: seed)
        link = CrashLink(disk, seed: seed)
        state = WorldState(on: disk)
        state.walLimit = seed % 3 == 0 ? 8 << 20 : 1 << 16
        stage = seed % 2 == 0 ? .passthrough : .layer
        scene = try Self.open(state, store, time, link, stage)
        interpreter = CallInterpreter(scene.calls)
        promises = Promises(ReferenceFileSystem(userID: stage.owner.user, groupID: stage.owner.group))
    }

    private static func open(
        _ state: WorldState, _ store: MemoryStore, _ time: ManualTime, _ link: CrashLink, _ stage: Stage
    ) throws -> Scene {
        let world = try World(store: store, state: state, time: time, writeback: .smallParts, limits: stage.limits)
        link.enter(world)
        return try Scene(world, stage)
    }

    private mutating func run(_ history: [CrashOperation]) async {
        for (step, operation) in history.enumerated() {
            guard await attempt(step, operation, { try await $0.perform(operation) }) else { return }
        }
        _ = await attempt(history.count, nil) { try await $0.finish() }
        try? await world.die()
    }

    /// False after a failure.
    private mutating func attempt(
        _ step: Int, _ operation: CrashOperation?, _ body: (inout CrashRunner) async throws -> Void
    ) async -> Bool {
        do {
            try await body(&self)
            return true
        } catch let breach as Breach {
            outcome.failure = Failure(step: step, operation: operation, reason: breach.reason)
        } catch {
            outcome.failure = Failure(step: step, operation: operation, reason: "\(error)")
        }
        return false
    }
}

// MARK: Steps

extension CrashRunner {
    private mutating func perform(_ operation: CrashOperation) async throws {
        switch operation {
        case .call(let call): try await perform(call)
        case .flush: try await flush()
        case .pass(let milliseconds):
            await scheduler.rest()
            time.advance(by: .milliseconds(milliseconds))
            await scheduler.rest()
        case .urge: try tolerant { try world.writeback.urge(under: .root) }
        case .evict: try evict()
        case .faults(let chance): link.fail(oneIn: chance)
        case .crash(let count, let end, let again):
            if plan != nil { try await die() }
            plan = Plan(end: end, again: again)
            disk.crash(after: count)
            return
        }
        if disk.hasCrashed { return try await crashed(underWay: nil) }
        try checkObjects()
    }

    /// Runs what may meet the death of the process.
    private func tolerant(_ body: () throws -> Void) throws {
        do { try body() } catch {
            guard disk.hasCrashed else { throw error }
        }
    }

    private mutating func perform(_ call: FileSystemCall) async throws {
        var tree = promises.now
        let expected = tree.perform(call)
        let found = await interpreter.perform(call)
        if disk.hasCrashed { return try await crashed(underWay: tree) }
        guard found.meets(expected) else { throw Breach(reason: "\(found), expected \(expected)") }
        promises.returned(tree)
        if case .synchronize(let slot, _) = call, let number = tree.number(openAs: slot) {
            promises.returnedSync(of: number)
        }
    }

    private mutating func flush() async throws {
        try tolerant { try world.flush() }
        if !disk.hasCrashed { promises.flushed() }
    }

    private mutating func evict() throws {
        try tolerant { try world.letGo() }
        if !disk.hasCrashed { promises.flushed() }
    }

    /// Nothing is in the bucket but what a file was at one moment.
    private mutating func checkObjects() throws {
        for key in store.keys {
            guard let info = store.info(key), seen[key] != info.etag else { continue }
            seen[key] = info.etag
            guard let bytes = store.bytes(key), promises.moments.contains(bytes) else {
                let text = TreeSnapshot.text(store.bytes(key) ?? [])
                throw Breach(reason: "the object \(key) is what no file ever was: \(text)")
            }
        }
    }
}

// MARK: Crashes

extension CrashRunner {
    /// The crash that was planned comes now, if it has not come before.
    private mutating func die() async throws {
        disk.crash()
        try await crashed(underWay: nil)
    }

    private mutating func crashed(underWay: ReferenceFileSystem?) async throws {
        guard let plan else { throw Breach(reason: "the disk failed without a crash") }
        self.plan = nil
        try await bury(world)
        var isCut = try restart(plan.end)
        for again in plan.again {
            disk.crash(after: again.calls)
            try await crashAtStart()
            isCut = try restart(again.end) || isCut
        }
        scene = try Self.open(state, store, time, link, stage)
        interpreter = CallInterpreter(scene.calls)
        let found = try await TreeSnapshot(of: scene.calls)
        let reason =
            isCut
            ? try promises.findCut(found, underWay: underWay) : try promises.findKilled(found, underWay: underWay)
        if let reason { throw Breach(reason: "after \(isCut ? "a power cut" : "a kill"): \(reason)") }
        try checkObjects()
    }

    /// Whether the power was cut.
    private mutating func restart(_ end: CrashEnd) throws -> Bool {
        outcome.crashes += 1
        switch end {
        case .kill:
            try disk.restart(after: .kill)
            return false
        case .powerCut(let chance):
            wasCut = true
            try disk.restart(after: .powerCut(oneIn: chance))
            state.boot = BootIdentity(high: state.boot.high + 1, low: 1)
            return true
        }
    }

    private mutating func crashAtStart() async throws {
        do {
            let world = try Self.open(state, store, time, link, stage).world
            await scheduler.rest()
            if disk.hasCrashed { outcome.crashedStarts += 1 }
            disk.crash()
            try await bury(world)
        } catch {
            guard disk.hasCrashed else { throw error }
            outcome.crashedStarts += 1
        }
    }

    /// Nothing is damaged, and nobody else was here. But a power cut may leave the data of a new file without its row.
    private func checkEvents() throws {
        let events = try world.journal.read { try $0.events(.conflict) + $0.events(.error) }
        let breaches = events.filter { !(wasCut && $0.path.hasPrefix("data/") && $0.message.contains("put aside")) }
        guard breaches.isEmpty else { throw Breach(reason: "told a person: \(breaches)") }
    }

    private func bury(_ world: World) async throws {
        link.leave()
        try? await world.die()
        await scheduler.rest()
    }

    /// The link is back: everything reaches the bucket.
    private mutating func finish() async throws {
        if plan != nil { try await die() }
        link.fail(oneIn: 0)
        await interpreter.closeAll()
        var tree = promises.now
        tree.closeAll()
        promises.returned(tree)
        for _ in 0..<200 where try !world.pending().isEmpty {
            await scheduler.rest()
            time.advance(by: .seconds(5))
        }
        let pending = try world.pending()
        guard pending.isEmpty else { throw Breach(reason: "the bucket is not brought up: \(pending)") }
        let differences = Audit.differences(between: tree, and: store)
        guard differences.isEmpty else { throw Breach(reason: differences.joined(separator: "; ")) }
        try checkEvents()
        guard disk.removedFromQuarantine == 0 else { throw Breach(reason: "quarantined data was removed") }
    }
}

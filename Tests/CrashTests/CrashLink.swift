import Synchronization
import TestKit

import struct ObjectStore.StoreError

@testable import WorldKit

/// The way from processes that die to a bucket: requests of a dead process fail, those of a living one now and then.
final class CrashLink: Sendable {
    fileprivate struct State {
        var random: SeededRandom
        var oneIn = 0
    }

    private let disk: SimulatedDisk
    private let state: Mutex<State>
    /// Told from one process to the next.
    private let epoch = Atomic(0)

    init(_ disk: SimulatedDisk, seed: UInt64) {
        self.disk = disk
        state = Mutex(State(random: SeededRandom(seed: ~seed)))
    }

    func fail(oneIn chance: Int) { state.withLock { $0.oneIn = chance } }

    /// The process of `world` lives.
    func enter(_ world: World) {
        let mine = epoch.add(1, ordering: .relaxed).newValue
        world.faulty.decide { [self] operation in
            guard epoch.load(ordering: .relaxed) == mine, !disk.hasCrashed else {
                return .failBefore(StoreError(.cancelled, message: "the process died"))
            }
            return state.withLock { $0.fault(of: operation) }
        }
    }

    /// The process that lived is dead.
    func leave() { epoch.add(1, ordering: .relaxed) }
}

extension CrashLink.State {
    fileprivate mutating func fault(of operation: FaultyStore.Operation) -> FaultyStore.Fault {
        // What programs wait for passes: their errors are no matter of crashes.
        guard oneIn > 0, operation != .list, operation != .get, random.oneIn(oneIn) else { return .none }
        let error = StoreError(.serverFault, message: "internal error (by a test)")
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return .failBefore(error)
        case 1: return .delay(.milliseconds(Int.random(in: 1...3000, using: &random)))
        default: return .failAfter(error)
        }
    }
}

import Foundation
import ObjectStore
import Platform
import TestKit
import Testing

@testable import Transfer

/// Whole histories of programs at work, faults and deaths, each from one seed: whatever happened, once the faults end
/// the bucket becomes the local tree, and nothing else is in it.
@Suite struct WritebackHistoryTests {
    /// `SLUICE_HISTORIES` runs more of them, `SLUICE_FIRST_SEED` others, `SLUICE_SEED` one, step by step.
    private static var seeds: Range<UInt64> {
        let environment = ProcessInfo.processInfo.environment
        if let seed = environment["SLUICE_SEED"].flatMap({ UInt64($0) }) { return seed..<seed + 1 }
        let first = environment["SLUICE_FIRST_SEED"].flatMap { UInt64($0) } ?? 0
        return first..<first + (environment["SLUICE_HISTORIES"].flatMap { UInt64($0) } ?? 300)
    }

    @Test func anyHistoryEndsWithTheLocalTreeInTheBucket() async throws {
        for seed in Self.seeds {
            let history = try History(seed: seed)
            try await history.run()
            try await history.finish()
            let (found, expected) = (history.bucket.tree, history.machine.expectedObjects)
            #expect(found == expected, "seed \(seed)")
            #expect(try history.machine.events(.conflict) == [], "seed \(seed)")
            #expect(try history.machine.events(.error) == [], "seed \(seed)")
            if found != expected { break }
        }
    }

    /// Until the first conflict, from which on programs would work on other files than the model thinks.
    @Test func nothingIsLostInAnyHistoryWithOthersInTheBucket() async throws {
        var conflicts = 0
        for seed in Self.seeds {
            let history = try History(seed: seed, hasOthers: true)
            try await history.run()
            try await history.finish()
            let kept = Set(history.bucket.tree.values.map(\.bytes))
            let files = history.machine.model.filter { $0.value.kind == .file }
            let lost = files.filter { !kept.contains($0.value.bytes) && !history.replaced.contains($0.value.bytes) }
            #expect(lost.isEmpty, "seed \(seed): written here")
            #expect(history.theirs.filter { !kept.contains($0.value) }.isEmpty, "seed \(seed): written by others")
            #expect(try history.machine.events(.error) == [], "seed \(seed)")
            conflicts += try history.machine.events(.conflict).count
            if !lost.isEmpty { break }
        }
        #expect(conflicts > Self.seeds.count / 20)
    }
}

/// One history.
///
/// SAFETY: everything runs in one task; the store's hook runs inside its requests.
private final class History: @unchecked Sendable {
    var random: SeededRandom
    let bucket: MemoryStore
    let faults: FaultyStore
    var crashes: CrashingStore
    var machine: LocalMachine
    var depth = 0
    let seed: UInt64
    let isVerbose: Bool
    /// Whether somebody else writes into the bucket.
    let hasOthers: Bool
    /// What they wrote last, by key, and what they wrote over.
    var theirs: [ObjectKey: [UInt8]] = [:]
    var replaced: Set<[UInt8]> = []

    /// SAFETY: called inside the requests of the one task.
    final class Hook: @unchecked Sendable {
        var call: () -> Void = {}
    }

    init(seed: UInt64, hasOthers: Bool = false) throws {
        self.seed = seed
        self.hasOthers = hasOthers
        isVerbose = ProcessInfo.processInfo.environment["SLUICE_SEED"] != nil
        random = SeededRandom(seed: seed)
        bucket = MemoryStore(multipartLimits: .small)
        faults = FaultyStore(bucket)
        let hook = Hook()
        crashes = CrashingStore(faults, hook: { hook.call() })
        machine = try LocalMachine(store: crashes)
        hook.call = { [unowned self] in self.interleave() }
    }

    func run() async throws {
        if random.oneIn(3) { faults.failAtRandom(oneIn: Int.random(in: 2...12, using: &random), seed: random.next()) }
        for _ in 0..<Int.random(in: 4...40, using: &random) {
            try await step()
            if hasOthers, try !machine.events(.conflict).isEmpty { break }
            if crashes.isDead || random.oneIn(25) { try restart() }
        }
    }

    /// Faults end, programs close their files.
    func finish() async throws {
        faults.failAtRandom(oneIn: nil)
        if crashes.isDead || random.oneIn(2) { try restart() }
        depth = 1
        for path in machine.handles.keys { machine.close(path) }
        crashes.die(after: .max, afterEffect: false)
        let isAtRest = try await machine.drain()
        let left = try machine.journal.read { try $0.pendingInodes() }
        let tombstones = try machine.journal.read { try $0.tombstones(after: nil, limit: 100) }
        #expect(isAtRest, "seed \(seed): write-back does not come to rest: \(left) \(tombstones)")
    }

    private func restart() throws {
        log("restart")
        crashes.die(after: .max, afterEffect: false)
        try machine.restart()
    }

    private func step() async throws {
        if random.oneIn(12) {
            crashes.die(after: Int.random(in: 0..<6, using: &random), afterEffect: Bool.random(using: &random))
        }
        machine.time.advance(by: .milliseconds(Int.random(in: 0..<3, using: &random)))
        guard random.oneIn(2) else { return try work() }
        do {
            try await writeBack()
        } catch let error as StoreError {
            log("failed: \(error.kind)")
        } catch is CancellationError {}
    }

    private func writeBack() async throws {
        if random.oneIn(3) {
            let keys = try machine.journal.read { try $0.tombstones(after: nil, limit: 100).map(\.key) }
            guard let key = keys.randomElement(using: &random) else { return }
            log("bury \(key)")
            let outcome = try await machine.reconciler.bury(key)
            log("  \(outcome)")
        } else {
            let pending = try machine.journal.read { try $0.pendingInodes().map(\.number).sorted() }
            guard let number = pending.randomElement(using: &random) else { return }
            log("reconcile \(number) \(try machine.journal.read { try $0.path(of: number) } ?? "-")")
            let outcome = try await machine.reconciler.reconcile(
                number,
                isUrgent: random.oneIn(3),
                progress: UploadProgress()
            )
            log("  \(outcome)")
        }
    }

    /// Programs work while a request is under way.
    private func interleave() {
        guard depth == 0, random.oneIn(6) else { return }
        depth += 1
        defer { depth -= 1 }
        do {
            if hasOthers, try !machine.events(.conflict).isEmpty { return }
            try work()
        } catch { Issue.record(error, "seed \(seed)") }
    }

    // MARK: Programs

    private func work() throws {
        if hasOthers, random.oneIn(5) { return interfere() }
        let paths = machine.model.keys.sorted()
        let files = paths.filter { machine.model[$0]?.kind == .file }
        let path = newPath()
        switch Int.random(in: 0..<17, using: &random) {
        case 0..<4:
            guard machine.model[path]?.kind ?? .file == .file else { return }
            log("put \(path)")
            try machine.put(path, bytes())
        case 4..<7:
            guard let path = files.randomElement(using: &random) else { return }
            try change(path)
        case 7:
            if let path = machine.handles.keys.sorted().randomElement(using: &random) {
                log("close \(path)")
                machine.close(path)
            }
        case 8:
            guard machine.model[path] == nil else { return }
            log("mkdir \(path)")
            try machine.makeDirectory(path)
        case 9:
            guard machine.model[path] == nil else { return }
            log("symlink \(path)")
            try machine.makeLink(path, to: "target-\(random.next() % 3)")
        case 10, 11:
            guard let path = paths.randomElement(using: &random), !paths.contains(where: { $0.hasPrefix(path + "/") })
            else { return }
            log("remove \(path)")
            try machine.remove(path)
        case 12, 13:
            guard let from = paths.randomElement(using: &random) else { return }
            try rename(from, to: path)
        case 14:
            guard let from = paths.randomElement(using: &random), let to = paths.randomElement(using: &random),
                from != to, !to.hasPrefix(from + "/"), !from.hasPrefix(to + "/")
            else { return }
            log("exchange \(from) \(to)")
            try machine.exchange(from, to)
        case 15:
            guard let path = paths.randomElement(using: &random) else { return }
            let permissions: UInt16 = [0o600, 0o640, 0o755].randomElement(using: &random) ?? 0
            log("chmod \(path)")
            try machine.setPermissions(path, permissions)
        default:
            // What was evicted can be lost with the object.
            guard !hasOthers else { return }
            log("evict")
            try machine.evict()
        }
    }

    /// Somebody else writes an object.
    private func interfere() {
        let path = newPath()
        guard machine.model[path]?.kind ?? .file == .file else { return }
        let key = ObjectKey(path)
        log("other puts \(path)")
        if let bytes = bucket.bytes(key) { replaced.insert(bytes) }
        theirs[key] = random.bytes(16)
        bucket.set(key, theirs[key] ?? [])
    }

    private func change(_ path: String) throws {
        try machine.open(path)
        let size = machine.model[path]?.bytes.count ?? 0
        if random.oneIn(3) {
            let size = Int.random(in: 0...size + 10, using: &random)
            log("truncate \(path) to \(size)")
            try machine.truncate(path, to: size)
        } else {
            let offset = Int.random(in: 0...size + 4, using: &random)
            log("write \(path) at \(offset)")
            try machine.write(random.bytes(Int.random(in: 1...12, using: &random)), at: offset, through: path)
        }
        if !random.oneIn(3) { machine.close(path) }
    }

    private func rename(_ from: String, to: String) throws {
        guard from != to, !to.hasPrefix(from + "/"), let source = machine.model[from] else { return }
        if let target = machine.model[to] {
            guard (source.kind == .directory) == (target.kind == .directory),
                !machine.model.keys.contains(where: { $0.hasPrefix(to + "/") })
            else { return }
        }
        log("rename \(from) \(to)")
        try machine.rename(from, to: to)
    }

    private func bytes() -> [UInt8] {
        let sizes = [0, 1, 10, 24, 25, 40, 64, 65, 100]
        let size = sizes.randomElement(using: &random) ?? 0
        // Few different bytes, so that equal contents with equal ETags happen.
        return random.oneIn(2) ? [UInt8](repeating: UInt8(random.next() % 2), count: size) : random.bytes(size)
    }

    /// In the root or in a directory that is there.
    private func newPath() -> String {
        let directories = machine.model.filter { $0.value.kind == .directory }.keys.sorted()
        let name = ["a", "b", "c", "d"].randomElement(using: &random) ?? "a"
        guard !random.oneIn(3), let parent = directories.randomElement(using: &random),
            parent.split(separator: "/").count < 3
        else { return name }
        return parent + "/" + name
    }

    private func log(_ text: String) {
        if isVerbose { print(String(repeating: "    ", count: depth) + text) }
    }
}

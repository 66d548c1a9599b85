import Cache
import Logging
import ObjectStore
import Platform
import TestKit
import Testing

@testable import Transfer

/// When write-back works: delays, back-off, the link, several files at once, waiting for the bucket.
@Suite struct WritebackTests {
    let time = ManualTime()
    let bucket = MemoryStore(multipartLimits: .small)
    let faults: FaultyStore
    let machine: LocalMachine
    let link: LinkMonitor
    let writeback: Writeback

    init() throws {
        let logger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        faults = FaultyStore(bucket, time: time)
        link = LinkMonitor(time: time, logger: logger)
        machine = try LocalMachine(store: faults, time: time)
        let observed = ObservedStore(faults, link: link)
        var configuration = WritebackConfiguration(host: "robot", defaults: LocalMachine.defaults)
        configuration.singlePutLimit = 24
        configuration.partSize = 8
        writeback = Writeback(
            store: observed,
            cache: machine.cache,
            link: link,
            configuration: configuration,
            time: time,
            logger: logger,
            materialize: { try await LocalMachine.fetch($0, $1, from: observed) },
            onChange: { _ in }
        )
        link.start(probing: faults)
        try writeback.start()
    }

    /// Turns the clock whenever everybody sleeps, until `work` has ended.
    private func whileTimePasses<Value: Sendable>(
        step: Duration = .milliseconds(250),
        _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let time = time
        let clock = Task {
            while !Task.isCancelled {
                try await Task.sleep(for: .microseconds(300))
                time.advance(by: step)
            }
        }
        defer { clock.cancel() }
        return try await work()
    }

    private func put(_ path: String, _ text: String) throws {
        try machine.put(path, text)
        writeback.schedule(try #require(try machine.inode(path)).number)
    }

    /// Lets tasks run that are due without the clock.
    private func settle(until condition: () -> Bool) async throws {
        for _ in 0..<2000 where !condition() { try await Task.sleep(for: .milliseconds(1)) }
    }

    @Test func anUploadStartsAfterTheDelayNotBefore() async throws {
        try put("file", "content")
        await time.waitForSleepers()
        time.advance(by: .milliseconds(900))
        try put("file", "content again")
        time.advance(by: .milliseconds(900))
        try await Task.sleep(for: .milliseconds(20))
        #expect(bucket.keys.isEmpty)
        await time.waitForSleepers()
        time.advance(by: .milliseconds(200))
        try await settle { !bucket.keys.isEmpty }
        #expect(bucket.text("file") == "content again")
        #expect(faults.calls(.put) == 1)
        await writeback.stop()
    }

    @Test func waitingForTheBucketReturnsWhenAllIsThere() async throws {
        try machine.makeDirectory("dir")
        for index in 0..<30 { try put("dir/\(index)", "file \(index)") }
        try await whileTimePasses { [writeback] in try await writeback.drained(under: .root) }
        #expect(bucket.tree == machine.expectedObjects)
        for index in 0..<15 { try machine.remove("dir/\(index)") }
        writeback.tombstonesChanged()
        try machine.rename("dir", to: "moved")
        let moved = try #require(try machine.inode("moved")).number
        // What was deleted lies under the former name: the root waits for it.
        try await whileTimePasses { [writeback] in try await writeback.drained(under: moved) }
        try await whileTimePasses { [writeback] in try await writeback.drained(under: .root) }
        #expect(bucket.tree == machine.expectedObjects)
        #expect(writeback.status.errors.isEmpty && writeback.status.uploading.isEmpty)
        await writeback.stop()
    }

    @Test func waitingEndsForAFileThatIsWrittenOn() async throws {
        try machine.open("log")
        try machine.write([1], at: 0, through: "log")
        try await whileTimePasses { [writeback] in try await writeback.drained(under: .root) }
        #expect(bucket.bytes(ObjectKey("log"))?.first == 1)
        await writeback.stop()
    }

    @Test func waitingGoesOnAfterAFailureOfAFileThatIsWrittenOn() async throws {
        let refusal = StoreError(.serverFault, message: "by a test", status: 500)
        faults.script(.put, .failBefore(refusal), .failBefore(refusal))
        try machine.open("log")
        try machine.write([1], at: 0, through: "log")
        try await whileTimePasses { [writeback] in try await writeback.drained(under: .root) }
        #expect(bucket.bytes(ObjectKey("log"))?.first == 1 && faults.calls(.put) == 3)
        await writeback.stop()
    }

    @Test func hoursWithoutALinkLoseNothingAndItsReturnIsNoticed() async throws {
        faults.isOffline = true
        for index in 0..<6 { try put("\(index)", "file \(index)") }
        let deadline = time.monotonic + .seconds(7200)
        try await whileTimePasses(step: .seconds(5)) { [time] in
            while time.monotonic < deadline { try await Task.sleep(for: .milliseconds(2)) }
        }
        #expect(writeback.status.link == .offline && !writeback.isOnline)
        #expect(writeback.status.errors.isEmpty)
        #expect(bucket.keys.isEmpty)
        faults.isOffline = false
        let start = time.monotonic
        try await whileTimePasses { [writeback, bucket] in
            while bucket.keys.count < 6 { try await Task.sleep(for: .milliseconds(1)) }
            _ = writeback
        }
        #expect(time.monotonic - start < .seconds(40))
        #expect(writeback.status.link == .online)
        await writeback.stop()
    }

    @Test(arguments: [StoreError.Kind.noCredentials, .badCredentials])
    func withoutUsableCredentialsEverythingWaitsAndNothingHasFailed(_ kind: StoreError.Kind) async throws {
        faults.refusal = StoreError(kind, code: "Why", message: "a reason")
        for index in 0..<6 { try put("\(index)", "file \(index)") }
        let deadline = time.monotonic + .seconds(600)
        try await whileTimePasses { [time] in
            while time.monotonic < deadline { try await Task.sleep(for: .milliseconds(2)) }
        }
        #expect(writeback.status.link == .offline && writeback.status.linkReason == "a reason [Why]")
        #expect(writeback.status.errors.isEmpty && bucket.keys.isEmpty)
        // Each file was tried at most once for each of the runs that began before the first refusal.
        #expect(faults.calls(.put) + faults.calls(.createUpload) <= 6)
        faults.refusal = nil
        try await whileTimePasses { [bucket] in
            while bucket.keys.count < 6 { try await Task.sleep(for: .milliseconds(1)) }
        }
        #expect(writeback.status.errors.isEmpty)
        await writeback.stop()
    }

    @Test func aRefusalKeepsTheFileAndIsShownUntilItPasses() async throws {
        let refusal = StoreError(.accessDenied, code: "AccessDenied", message: "not for you", status: 403)
        faults.script(.put, .failBefore(refusal), .failBefore(refusal))
        try put("file", "content")
        try await whileTimePasses { [writeback] in
            while writeback.status.errors.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
        }
        #expect(writeback.status.errors.first?.path == "file")
        #expect(writeback.status.errors.first?.message.contains("not for you") == true)
        try await whileTimePasses { [bucket] in
            while bucket.keys.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
        }
        try await settle { writeback.status.errors.isEmpty }
        #expect(writeback.status.errors.isEmpty && bucket.text("file") == "content")
        await writeback.stop()
    }

    @Test func pausedUploadsWait() async throws {
        writeback.pause()
        try put("file", "content")
        try await whileTimePasses { try await Task.sleep(for: .milliseconds(30)) }
        #expect(bucket.keys.isEmpty && writeback.status.link == .paused)
        writeback.resume()
        try await whileTimePasses { [writeback] in try await writeback.drained(under: .root) }
        #expect(bucket.text("file") == "content")
        await writeback.stop()
    }

    @Test func whatIsStoppedGoesOnInTheNextProcess() async throws {
        for index in 0..<5 { try put("\(index)", "file \(index)") }
        await writeback.stop()
        time.advance(by: .seconds(10))
        try await Task.sleep(for: .milliseconds(20))
        #expect(bucket.keys.isEmpty)
        try writeback.start()
        try await settle { bucket.keys.count == 5 }
        #expect(bucket.tree == machine.expectedObjects)
        await writeback.stop()
    }

    @Test func aSwapIsBrokenUpByTheQueueAlone() async throws {
        try put("a", "content of a")
        try put("b", "content of b")
        try await whileTimePasses { [writeback] in try await writeback.drained(under: .root) }
        try machine.evict()
        try machine.exchange("a", "b")
        for name in ["a", "b"] { writeback.schedule(try #require(try machine.inode(name)).number) }
        try await whileTimePasses { [writeback] in try await writeback.drained(under: .root) }
        #expect(bucket.tree == machine.expectedObjects)
        await writeback.stop()
    }

    @Test func progressAndRateAreShown() async throws {
        faults.script(.uploadPart, .none, .none, .delay(.seconds(3600)))
        let text = String(repeating: "x", count: 30)
        try put("dir-less", text)
        try await whileTimePasses(step: .milliseconds(50)) { [writeback] in
            while writeback.status.uploading.first?.bytesDone ?? 0 < 16 { try await Task.sleep(for: .milliseconds(1)) }
        }
        let upload = try #require(writeback.status.uploading.first)
        #expect(upload.path == "dir-less" && upload.bytesTotal == 30)
        #expect(writeback.status.uploadBytesPerSecond > 0)
        await writeback.stop()
    }

    @Test func manyFilesAtRandomUnderFaultsEndInTheBucket() async throws {
        faults.failAtRandom(oneIn: 6, seed: 42)
        var random = SeededRandom(seed: 7)
        try machine.makeDirectory("dir")
        for round in 0..<150 {
            let name = (random.oneIn(2) ? "dir/" : "") + "\(Int.random(in: 0..<12, using: &random))"
            if machine.model[name] != nil, random.oneIn(3) {
                try machine.remove(name)
                writeback.tombstonesChanged()
            } else if machine.model[name] != nil, random.oneIn(3) {
                let target = "moved-\(round)"
                try machine.rename(name, to: target)
                writeback.schedule(try #require(try machine.inode(target)).number)
                writeback.tombstonesChanged()
            } else {
                try put(name, String(repeating: "\(round)", count: Int.random(in: 0...30, using: &random)))
            }
            time.advance(by: .milliseconds(Int.random(in: 0...600, using: &random)))
            if random.oneIn(4) { try await Task.sleep(for: .milliseconds(1)) }
        }
        try await whileTimePasses { [writeback] in try await writeback.drained(under: .root) }
        #expect(bucket.tree == machine.expectedObjects)
        #expect(try machine.events(.conflict) == [])
        await writeback.stop()
    }
}

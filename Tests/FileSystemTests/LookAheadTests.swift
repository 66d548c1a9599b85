import Cache
import ObjectStore
import TestKit
import Testing

@testable import FileSystem
@testable import Transfer
@testable import WorldKit

/// Attributes that are asked for before somebody looks.
@Suite struct LookAheadTests {
    let world: World
    let driver: FileSystemDriver
    private let names = (1000..<1100).map { "d/f\($0)" }

    init() async throws {
        world = try World()
        driver = world.driver
        for name in names { world.store.set(name, String(repeating: "x", count: 5000), metadata: ["mode": "33152"]) }
        #expect(try await driver.list("d").count == 100)
    }

    @Test func whoLooksAtOneFileAfterTheOtherWaitsForFewOfThem() async throws {
        let before = world.faulty.allCalls
        for name in names.prefix(10) { #expect(try await driver.stat(name).permissions == 0o600) }
        try await waitUntil { world.faulty.allCalls - before >= 30 }
        let ahead = world.faulty.allCalls - before
        #expect(ahead <= 10 + OrderedWalk.maximumWindow)
        for name in names.dropFirst(10) { #expect(try await driver.stat(name).permissions == 0o600) }
        #expect(world.faulty.allCalls - before == 100, "each is asked for once")
    }

    @Test func aLookAtASingleFileAsksForNoOther() async throws {
        let before = world.faulty.allCalls
        #expect(try await driver.stat(names[50]).permissions == 0o600)
        #expect(try await driver.stat(names[10]).permissions == 0o600)
        #expect(try await driver.stat(names[90]).permissions == 0o600)
        #expect(world.faulty.allCalls - before == 3)
    }

    @Test func whoReadsOneFileAfterTheOtherHasTheNextOnesFetched() async throws {
        for name in names.prefix(40) { #expect(try await driver.readFile(name).utf8.count == 5000) }
        try await waitUntil { world.faulty.calls(.get) > 44 }
        let gets = world.faulty.calls(.get)
        let heads = world.faulty.calls(.head)
        for name in names.dropFirst(40).prefix(3) { #expect(try await driver.readFile(name).utf8.count == 5000) }
        #expect(world.faulty.calls(.head) == heads && gets <= 40 + OrderedWalk.maximumWindow)
        #expect(Set(world.faulty.gets.map(\.key)).count == world.faulty.calls(.get), "each is fetched once")
    }

    @Test func whilePausedNothingIsAskedForAhead() async throws {
        world.writeback.pause()
        let before = world.faulty.allCalls
        for name in names.prefix(10) { _ = try await driver.stat(name) }
        #expect(world.faulty.allCalls - before == 10)
    }

    @Test func memoryIsBounded() throws {
        var ahead = LookAhead()
        let name = try #require(FileName("a"))
        for directory in 0..<UInt64(LookAhead.memoryLimit + 10) {
            let step = ahead.looked(
                at: InodeNumber(rawValue: 7), named: name, in: InodeNumber(rawValue: directory), isKnown: false)
            #expect(step == LookAhead.Step(name: name, count: 1))
        }
    }
}

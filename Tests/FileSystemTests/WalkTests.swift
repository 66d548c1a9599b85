import FileSystem
import ObjectStore
import Platform
import TestKit
import Testing

@testable import WorldKit

/// Programs that walk a tree which was never listed.
@Suite struct WalkTests {
    let world: World
    let driver: FileSystemDriver

    init() async throws {
        world = try World()
        driver = world.driver
        for index in 0..<40 { world.store.set("\(Self.name(index))/x", "1") }
    }

    private static func name(_ index: Int) -> String { "d\(10 + index)" }

    /// How often each directory was listed.
    private var listings: [String: Int] {
        Dictionary(world.faulty.lists.filter { $0.limit > 1 }.map { ($0.prefix, 1) }, uniquingKeysWith: +)
    }

    @Test func whileTheFirstDirectoryIsListedTheNextOneIsAsWell() async throws {
        _ = try await driver.list("")
        world.faulty.decide { $0 == .list ? .delay(.seconds(1)) : .none }
        let driver = driver
        async let names = driver.list(Self.name(0))
        // Two listings, and the deadline of who waits for the first.
        try await waitUntil { world.time.sleeperCount == 3 }
        #expect(listings == ["": 1, "d10/": 1, "d11/": 1])
        world.time.advance(by: .seconds(1))
        #expect(try await names == ["x"])
    }

    @Test func aWalkListsEachDirectoryOnceAndMoreAndMoreOfThemAhead() async throws {
        _ = try await driver.list("")
        for index in 0..<4 { #expect(try await driver.list(Self.name(index)) == ["x"]) }
        try await waitUntil { listings.count == 1 + 12 }
        for index in 4..<40 { #expect(try await driver.list(Self.name(index)) == ["x"]) }
        #expect(listings.count == 1 + 40)
        #expect(listings.values.allSatisfy { $0 == 1 })
    }

    @Test func whoReadsOneDirectoryCausesAtMostOneListingMore() async throws {
        #expect(try await driver.list(Self.name(20)) == ["x"])
        #expect(try await driver.list(Self.name(10)) == ["x"])
        // Nobody has read the one above until now.
        #expect(listings.count == 2)
        _ = try await driver.list("")
        for index in [5, 30, 25, 35, 0] { #expect(try await driver.list(Self.name(index)) == ["x"]) }
        #expect(listings.count <= 1 + 2 + 5 + 1)
    }

    @Test func whileUploadsArePausedNothingIsListedAhead() async throws {
        world.writeback.pause()
        _ = try await driver.list("")
        for index in 0..<20 { #expect(try await driver.list(Self.name(index)) == ["x"]) }
        #expect(listings.count == 1 + 20)
    }
}

import Cache
import ObjectStore
import Platform
import TestKit
import Testing

@testable import FileSystem
@testable import WorldKit

/// How many requests it takes to read what is only in the bucket.
@Suite struct ColdReadTests {
    let world: World
    let driver: FileSystemDriver

    init() async throws {
        world = try World()
        driver = world.driver
    }

    /// In an order that no listing has.
    private func makeFiles(_ count: Int, size: Int) -> [String] {
        let names = (0..<count).map { "d/file\($0)" }
        for name in names { world.store.set(name, String(repeating: "x", count: size), metadata: ["mode": "33152"]) }
        var random = SeededRandom(seed: 1)
        return names.shuffled(using: &random)
    }

    @Test(arguments: [10, 5_000, 200_000])
    func smallFilesOfAListedDirectoryTakeOneRequestEach(size: Int) async throws {
        let names = makeFiles(50, size: size)
        #expect(try await driver.list("d").count == 50)
        let (before, heads) = (world.faulty.allCalls, world.faulty.calls(.head))
        for name in names {
            #expect(try await driver.readFile(name).utf8.count == size)
            #expect(try await driver.stat(name).permissions == 0o600)
        }
        #expect(world.faulty.calls(.head) == heads)
        #expect(world.faulty.allCalls - before == 50)
        // With its checksum, which the store tells of a whole object only.
        #expect(world.faulty.gets.allSatisfy { $0.range == nil })
    }

    @Test func lookingAtFilesBringsHardlyAnyBytes() async throws {
        let names = makeFiles(50, size: 200_000)
        #expect(try await driver.list("d").count == 50)
        let before = world.faulty.allCalls
        for name in names { #expect(try await driver.stat(name).permissions == 0o600) }
        #expect(world.faulty.calls(.get) <= ReadForecast.firstScore)
        #expect(world.faulty.allCalls - before == 50)
    }

    @Test func ofALargeFileOnlyTheHeadComesAlong() async throws {
        world.store.set("large", String(repeating: "x", count: 4 << 20), metadata: ["mode": "33152"])
        #expect(try await driver.list("") == ["large"])
        #expect(try await driver.stat("large").permissions == 0o600)
        #expect(world.faulty.calls(.head) == 0)
        let head: [Range<Int64>?] = [0..<65_536]
        #expect(world.faulty.gets.map(\.range) == head)
    }

    @Test func aSymbolicLinkTakesOneRequestAndNoDataFile() async throws {
        world.store.set("link", "target/of it", metadata: ["mode": "41471"])
        #expect(try await driver.list("") == ["link"])
        #expect(try await driver.readLink("link") == "target/of it")
        #expect(world.faulty.calls(.get) == 1 && world.faulty.calls(.head) == 0)
        #expect(try world.cache.usage().used == 0)
    }

    @Test func anObjectThatCannotBeReadNowShowsItsAttributes() async throws {
        world.store.set("archived", String(repeating: "x", count: 10_000), metadata: ["mode": "33152"])
        world.faulty.script(.get, .failBefore(StoreError(.archived, message: "in an archive")))
        #expect(try await driver.list("") == ["archived"])
        #expect(try await driver.stat("archived").permissions == 0o600)
        #expect(world.faulty.calls(.head) == 1)
    }

    @Test func theTailOfALargeFileIsReadWithoutTheRest() async throws {
        let size: Int64 = 64 << 20
        world.store.set("large.mcap", String(repeating: "x", count: Int(size)))
        let handle = try await driver.open("large.mcap", [.read])
        _ = try await driver.wait { world.fileSystem.read(handle, offset: size - 100, count: 100, reply: $0) }
        _ = try await driver.wait { world.fileSystem.read(handle, offset: size - 50_000, count: 4096, reply: $0) }
        let fetched = world.faulty.gets.reduce(Int64(0)) { $0 + ($1.range?.length ?? size) }
        #expect(fetched < 1 << 20)
    }
}

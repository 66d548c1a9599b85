import Cache
import ObjectStore
import Platform
import TestKit
import Testing

@testable import FileSystem
@testable import Transfer
@testable import WorldKit

/// Files shown as a listing tells them, and what is asked for all the same.
@Suite struct ListedAttributesTests {
    let world: World
    let driver: FileSystemDriver

    init() throws {
        world = try World()
        driver = world.driver
    }

    private func makeFiles(_ count: Int, in directory: String, metadata: [String: String] = [:]) -> [String] {
        let names = (1000..<1000 + count).map { "\(directory)/f\($0)" }
        for name in names { world.store.set(name, "text", metadata: metadata) }
        return names
    }

    @Test func filesWithoutAttributesAreShownWithoutARequestEach() async throws {
        let names = makeFiles(3000, in: "d")
        #expect(try await driver.list("d").count == 3000)
        #expect(try await kindsTold(in: "d") == 0, "they may be symbolic links")
        let before = world.faulty.allCalls
        for name in names {
            let attributes = try await driver.stat(name)
            #expect(attributes.size == 4 && attributes.kind == .file)
        }
        // The first ones, and those that are checked.
        #expect(world.faulty.allCalls - before <= AttributeEvidence.enough + OrderedWalk.maximumWindow + 7)
        // With the listing, without a look-up.
        let heads = world.faulty.allCalls
        #expect(try await attributesGiven(in: "d") >= 2990)
        #expect(try await kindsTold(in: "d") == 3000)
        #expect(world.faulty.allCalls == heads)
    }

    /// How many entries of a directory come with their attributes.
    private func attributesGiven(in path: String) async throws -> Int {
        try await count(in: path, withAttributes: true) { entry in
            guard let inode = entry.entry?.attributes.inode else { return false }
            driver.fileSystem.forget(inode, count: 1)
            return true
        }
    }

    /// Of how many files readdir tells the kind.
    private func kindsTold(in path: String) async throws -> Int {
        try await count(in: path, withAttributes: false) { $0.kind == .file }
    }

    private func count(
        in path: String, withAttributes: Bool, _ isCounted: (DirectoryEntry) -> Bool
    ) async throws -> Int {
        let directory = try await driver.stat(path).inode
        let handle = try await driver.wait { driver.fileSystem.openDirectory(directory, reply: $0) }
        defer { driver.fileSystem.releaseDirectory(handle) }
        var count = 0
        try driver.fileSystem.readDirectory(handle, offset: 0, withAttributes: withAttributes) { entry in
            if isCounted(entry) { count += 1 }
            return true
        }
        return count
    }

    @Test func whereObjectsCarryAttributesEachIsAskedFor() async throws {
        let names = makeFiles(100, in: "d", metadata: ["mode": "33152"])
        for name in names { #expect(try await driver.stat(name).permissions == 0o600) }
    }

    @Test func oneFileWithAttributesAmongOthersIsFoundByReadingIt() async throws {
        let names = makeFiles(100, in: "d")
        for name in names { _ = try await driver.stat(name) }
        world.store.set("d/late", "private", metadata: ["mode": "33152", "mtime": "5"])
        let fresh = try World(store: world.store)
        for name in names { _ = try await fresh.driver.stat(name) }
        #expect(try await fresh.driver.stat("d/late").permissions != 0o600)
        #expect(try await fresh.driver.readFile("d/late") == "private")
        let attributes = try await fresh.driver.stat("d/late")
        #expect(attributes.permissions == 0o600 && attributes.modified == Timestamp(seconds: 5))
    }

    @Test func aNewFileInAListedDirectoryIsAskedFor() async throws {
        for name in makeFiles(40, in: "d") { _ = try await driver.stat(name) }
        world.store.set("d/new", "text", metadata: ["mode": "33152"])
        world.time.advance(by: .seconds(6))
        #expect(try await driver.stat("d/new").permissions == 0o600)
    }

    /// A file that carries more than was shown loses nothing of it when it is changed.
    @Test(arguments: Change.allCases)
    func whatAFileCarriesIsKnownBeforeItIsChanged(_ change: Change) async throws {
        let names = makeFiles(100, in: "d")
        let attributes = ExtendedAttributeText.encode(["user.a": [49]])
        world.store.set("d/x", "text", metadata: ["mode": "33152", "mtime": "5", "xattr": attributes])
        for name in names { _ = try await driver.stat(name) }
        #expect(try await driver.stat("d/x").permissions != 0o600)
        try await change.make(of: "d/x", driver)
        try await world.drain()
        let metadata = try #require(world.store.info(ObjectKey(change.key(of: "d/x")))?.metadata)
        let found = PosixMetadata(decoding: metadata)
        #expect(found.extendedAttributes["user.a"] == [49])
        #expect(found.permissions == (change == .permissions ? 0o640 : 0o600))
    }

    enum Change: CaseIterable {
        case permissions, bytes, extendedAttribute, name, furtherName

        func make(of path: String, _ driver: FileSystemDriver) async throws {
            switch self {
            case .permissions: try await driver.setPermissions(path, 0o640)
            case .bytes:
                let handle = try await driver.open(path, .write)
                try driver.write(handle, "new")
                driver.fileSystem.release(handle)
            case .extendedAttribute: try await driver.setExtendedAttribute(path, "user.b", "2")
            case .name: try await driver.rename(path, key(of: path))
            case .furtherName: try await driver.makeHardLink(key(of: path), to: path)
            }
        }

        func key(of path: String) -> String {
            switch self {
            case .permissions, .bytes, .extendedAttribute: path
            case .name, .furtherName: path + "-new"
            }
        }
    }

    @Test func extendedAttributesAreReadFromTheObject() async throws {
        let names = makeFiles(100, in: "d")
        world.store.set("d/x", "text", metadata: ["xattr": ExtendedAttributeText.encode(["user.a": [49]])])
        for name in names { _ = try await driver.stat(name) }
        _ = try await driver.stat("d/x")
        #expect(try await driver.extendedAttribute("d/x", "user.a") == "1")
    }

    @Test(arguments: [AttributeSource.exact, .listed])
    func whereItIsConfiguredTheListingIsNeverOrAlwaysEnough(_ source: AttributeSource) async throws {
        let world = try World(store: world.store) { $0.attributes = source }
        let names = makeFiles(100, in: "d")
        #expect(try await world.driver.list("d").count == 100)
        let before = world.faulty.allCalls
        for name in names { _ = try await world.driver.stat(name) }
        #expect(world.faulty.allCalls - before == (source == .exact ? 100 : 0))
    }
}

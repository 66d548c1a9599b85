import Cache
import FileSystem
import Synchronization

import struct SystemPackage.Errno

/// A path walked component by component as the kernel does it, with a reference to each inode on the way until
/// ``giveBack()``.
final class LayerPath {
    private static let linkLimit = 40

    /// From the root to the one that holds the name.
    private(set) var directories: [FileAttributes] = []
    private(set) var found: FileAttributes?
    private var lastName: FileName?
    private var held: [InodeNumber] = []
    private let driver: FileSystemDriver

    private init(_ driver: FileSystemDriver) throws {
        self.driver = driver
        found = try driver.fileSystem.attributes(of: .root).0
    }

    var parent: InodeNumber { directories.last?.inode ?? .root }

    /// The last component.
    var name: FileName {
        get throws {
            guard let lastName else { throw Errno.invalidArgument }
            return lastName
        }
    }

    static func resolve(_ path: String, follow: Bool, _ driver: FileSystemDriver) async throws -> LayerPath {
        let place = try LayerPath(driver)
        do {
            try await place.walk(path, follow: follow)
            return place
        } catch {
            place.giveBack()
            throw error
        }
    }

    func giveBack() {
        for inode in held { driver.fileSystem.forget(inode, count: 1) }
        held = []
    }

    /// The reference to what was found stays.
    func keepFound() {
        if let inode = found?.inode, let index = held.lastIndex(of: inode) { held.remove(at: index) }
    }

    private func walk(_ path: String, follow: Bool) async throws {
        var left = Self.components(path)
        var links = 0
        while let component = left.popLast() {
            try await step(to: component)
            guard let link = found, link.kind == .symbolicLink, follow || !left.isEmpty else { continue }
            links += 1
            guard links <= Self.linkLimit else { throw Errno.tooManySymbolicLinkLevels }
            let target = try await driver.wait { driver.fileSystem.readSymbolicLink(link.inode, reply: $0) }
            // Nothing that a test names is outside of the file system.
            guard !target.hasPrefix("/") else { throw Errno.noSuchFileOrDirectory }
            left += Self.components(target)
            found = directories.popLast()
        }
    }

    /// Last first.
    private static func components(_ path: String) -> [String] {
        path.split(separator: "/").map(String.init).reversed()
    }

    private func step(to component: String) async throws {
        guard let directory = found else { throw Errno.noSuchFileOrDirectory }
        guard directory.kind == .directory else { throw Errno.notDirectory }
        if component == ".." {
            found = directories.popLast() ?? directory
            return
        }
        guard let name = FileName(component) else { throw Errno.fileNameTooLong }
        directories.append(directory)
        lastName = name
        found = try await lookUp(name, in: directory.inode)
        if let inode = found?.inode { held.append(inode) }
    }

    /// Nil if there is nothing of the name.
    private func lookUp(_ name: FileName, in directory: InodeNumber) async throws -> FileAttributes? {
        let answer: Result<Entry, Errno> = await withCheckedContinuation { done in
            _ = driver.fileSystem.lookup(name, in: directory) { done.resume(returning: $0) }
        }
        if case .failure(.noSuchFileOrDirectory) = answer { return nil }
        return try answer.get().attributes
    }
}

import CLinux
import Platform
import SystemPackage

/// The directory that things are saved into.
final class SalvageDirectory {
    /// Names that are tried when one is taken.
    private static let tries = 1000

    private let root: Int32

    /// Opens or makes it.
    init(path: String) throws(CacheError) {
        do {
            do { _ = try systemCall { mkdir(path, 0o700) } } catch .fileExists {}
            root = try systemCall { sluice_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0) }
        } catch {
            throw .unusable("cannot save into \(path): \(error)")
        }
    }

    deinit { close(root) }

    /// A new file, with the directories above it; its name is another one if that is taken. Returns where it is.
    func makeFile(_ components: [[UInt8]]) throws(Errno) -> (file: PosixDiskFile, place: String) {
        let (directory, above) = try openDirectories(components.dropLast())
        defer { close(directory) }
        let wanted = components.last ?? Array("%".utf8)
        for number in 1...Self.tries {
            let name = Self.name(wanted, number)
            do {
                let descriptor = try systemCall {
                    sluice_openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
                }
                return (PosixDiskFile(owning: descriptor), Self.text(above + [name]))
            } catch .fileExists {
                continue
            }
        }
        throw .fileExists
    }

    func makeDirectory(_ components: [[UInt8]]) throws(Errno) -> String {
        let (directory, names) = try openDirectories(components[...])
        close(directory)
        return Self.text(names)
    }

    func synchronize() throws(Errno) { _ = try systemCall { sluice_syncfs(root) } }

    private func openDirectories(_ components: ArraySlice<[UInt8]>) throws(Errno) -> (Int32, [[CChar]]) {
        var current = try systemCall { sluice_openat(root, ".", O_RDONLY | O_DIRECTORY, 0) }
        var names: [[CChar]] = []
        for component in components {
            let parent = current
            defer { close(parent) }
            let (next, name) = try openDirectory(component, in: parent)
            current = next
            names.append(name)
        }
        return (current, names)
    }

    /// Makes it, or takes one that is there and is a directory.
    private func openDirectory(_ wanted: [UInt8], in parent: Int32) throws(Errno) -> (Int32, [CChar]) {
        for number in 1...Self.tries {
            let name = Self.name(wanted, number)
            do { _ = try systemCall { mkdirat(parent, name, 0o700) } } catch .fileExists {}
            do {
                let opened = try systemCall {
                    sluice_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
                }
                return (opened, name)
            } catch .notDirectory, .tooManySymbolicLinkLevels {
                continue
            }
        }
        throw .fileExists
    }

    private static func name(_ wanted: [UInt8], _ number: Int) -> [CChar] {
        let bytes = number == 1 ? wanted : SalvageName.appending(Array(".\(number)".utf8), to: wanted)
        return bytes.map { CChar(bitPattern: $0) } + [0]
    }

    private static func text(_ names: [[CChar]]) -> String {
        names.map { name in String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) }
            .joined(separator: "/")
    }
}

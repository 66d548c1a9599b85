import CLinux
import Synchronization
import SystemPackage

/// Descriptors of the directories below one, so that no part of a path is looked up twice: what somebody puts in the
/// place of a directory meanwhile is not gone through, and symbolic links never are.
///
/// Thread rule: any thread. Descriptors are valid as long as the object lives.
public final class HeldDirectories: Sendable {
    private let root: Int32
    private let held = Mutex<[String: Int32]>([:])
    /// Of directories that were renamed: somebody may be using them still.
    private let retired = Mutex<[Int32]>([])

    /// Does not close `root`.
    public init(root: Int32) {
        self.root = root
    }

    deinit {
        for descriptor in held.withLock({ Array($0.values) }) + retired.withLock({ $0 }) { close(descriptor) }
    }

    /// The directory that a name is in, and its last component. Throws ENOTDIR where the way goes through a symbolic
    /// link.
    public func place(of name: String) throws(Errno) -> (directory: Int32, name: String) {
        guard let slash = name.utf8.lastIndex(of: UInt8(ascii: "/")) else { return (root, name) }
        return (try directory(String(name[..<slash])), String(name[name.utf8.index(after: slash)...]))
    }

    /// What has this name is somewhere else now.
    public func forget(_ name: String) {
        let gone = held.withLock { held -> [Int32] in
            guard held[name] != nil else { return [] }
            let names = held.keys.filter { $0 == name || $0.hasPrefix(name + "/") }
            return names.compactMap { held.removeValue(forKey: $0) }
        }
        if !gone.isEmpty { retired.withLock { $0 += gone } }
    }

    private func directory(_ name: String) throws(Errno) -> Int32 {
        if let descriptor = held.withLock({ $0[name] }) { return descriptor }
        let place = try place(of: name)
        let opened = try systemCall {
            sluice_openat(place.directory, place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0)
        }
        let kept = held.withLock { held in
            if let other = held[name] { return other }
            held[name] = opened
            return opened
        }
        if kept != opened { close(opened) }
        return kept
    }
}

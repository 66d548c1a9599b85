import Cache
import ObjectStore

/// Sorts the keys of a bucket by the names that they have in a mount.
struct KeySurvey {
    private(set) var count = 0
    /// Of objects, not of markers.
    private var objects: Set<ObjectKey> = []
    private var directories: Set<ObjectKey> = []
    /// Keys that no path can name.
    private(set) var unnameable: [ObjectKey] = []

    mutating func add(_ key: ObjectKey) {
        count += 1
        let isMarker = key.string.hasSuffix("/")
        let path = isMarker ? String(key.string.dropLast()) : key.string
        let components = path.split(separator: "/", omittingEmptySubsequences: false)
        guard components.allSatisfy({ FileName(String($0)) != nil }) else { return unnameable.append(key) }
        if !isMarker { objects.insert(key) }
        for depth in stride(from: components.count - (isMarker ? 0 : 1), to: 0, by: -1) {
            let directory = ObjectKey(components[..<depth].joined(separator: "/"))
            if !directories.insert(directory).inserted { break }
        }
    }

    /// Objects whose keys are directories as well, in order: those that are reached with a suffix, and those whose
    /// name with the suffix is taken or too long.
    var covered: (reached: [ObjectKey], lost: [ObjectKey]) {
        let covered = objects.intersection(directories).sorted()
        return (covered.filter(isReached), covered.filter { !isReached($0) })
    }

    private func isReached(_ key: ObjectKey) -> Bool {
        let name = key.string.split(separator: "/").last.flatMap { FileName(String($0)) }
        return name?.covered != nil && !objects.contains(ObjectKey(key.string + FileName.coveredSuffix))
    }
}

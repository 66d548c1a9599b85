import Platform
import SystemPackage

// MARK: Quarantine

extension FileCache {
    /// Of more files than this, only the count is told.
    private static let namedLimit = 20

    /// Puts files aside that the journal does not explain: moved, made durable, and told of. `names` are those of
    /// files below `data/`, or of directories of them.
    func quarantine(_ names: [String]) throws {
        guard !names.isEmpty else { return }
        var events: [JournalEvent] = []
        do throws(Errno) {
            var taken = Set(try disk.names(in: "quarantine"))
            for name in names {
                let place = freePlace(for: name, &taken)
                try disk.rename(name, to: "quarantine/\(place)")
                guard events.count < Self.namedLimit else { continue }
                events.append(
                    JournalEvent(
                        kind: .error, path: name,
                        message: "the journal does not know it: put aside as quarantine/\(place)",
                        time: time.wall))
            }
            try disk.synchronizeDirectory("quarantine")
            for directory in Set(names.map(Self.directory)) { try disk.synchronizeDirectory(directory) }
        } catch {
            throw CacheError.system(error, during: "putting data aside")
        }
        if names.count > events.count {
            events.append(
                JournalEvent(
                    kind: .error, path: "data",
                    message: "\(names.count) data files that the journal does not know were put "
                        + "aside in quarantine/", time: time.wall))
        }
        log(events)
        try journal.write { transaction in
            for event in events { try transaction.record(event) }
        }
    }

    /// A clock that stands still at every boot must not make one file take another's place.
    private func freePlace(for name: String, _ taken: inout Set<String>) -> String {
        let stem = "\(time.wall.seconds)-\(name.split(separator: "/").last ?? "")"
        var place = stem
        var count = 1
        while !taken.insert(place).inserted {
            count += 1
            place = "\(stem)-\(count)"
        }
        return place
    }

    private static func directory(of name: String) -> String {
        name.split(separator: "/").dropLast().joined(separator: "/")
    }
}

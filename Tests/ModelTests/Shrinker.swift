import TestKit

/// Ways to make a history smaller, from the boldest to the most careful: pure, so that whoever runs them decides
/// which of them still fail.
enum Shrinker {
    /// Smaller histories; one that fails as well is to be shrunk in its turn.
    static func candidates(_ history: [Operation]) -> [[Operation]] {
        removals(history) + simplifications(history)
    }

    private static func removals(_ history: [Operation]) -> [[Operation]] {
        var found: [[Operation]] = []
        var size = history.count / 2
        while size >= 1 {
            for start in stride(from: 0, to: history.count, by: size) {
                let end = min(start + size, history.count)
                found.append(Array(history[..<start] + history[end...]))
            }
            size /= 2
        }
        return found
    }

    private static func simplifications(_ history: [Operation]) -> [[Operation]] {
        history.indices.flatMap { index in
            history[index].simpler.map { simpler in
                var candidate = history
                candidate[index] = simpler
                return candidate
            }
        }
    }
}

extension Operation {
    /// The same with less in it; each step leads nearer to an end.
    fileprivate var simpler: [Operation] {
        switch self {
        case .call(let call): call.simpler.map { .call($0) }
        case .forget: [.drain]
        case .kill: [.remount]
        case .settle: [.drain]
        case .race(let mine, _): mine.calls.count == 1 ? mine.calls.map { .call($0) } : [.drain]
        case .others(.put(let path, let text)):
            [.drain] + (text.count > 1 ? [.others(.put(path, String(text.prefix(1))))] : [])
        case .others: [.drain]
        case .drain, .remount: [.check]
        case .check, .evict: []
        }
    }
}

extension FileSystemCall {
    fileprivate var simpler: [FileSystemCall] {
        switch self {
        case .open(let slot, let path, let flags, let mode):
            (mode == 0o644 ? [] : [.open(slot, path, flags, 0o644)])
                + [OpenFlags.append, .truncate, .exclusive].filter(flags.contains).map {
                    .open(slot, path, flags.subtracting($0), mode)
                }
        case .write(let slot, let offset, let text):
            (offset > 0 ? [.write(slot, at: 0, text)] : [])
                + (text.count > 1 ? [.write(slot, at: offset, String(text.prefix(text.count / 2)))] : [])
        case .resize(let slot, let size): size > 0 ? [.resize(slot, to: 0)] : []
        case .truncate(let path, let size): size > 0 ? [.truncate(path, to: 0)] : []
        case .read(let slot, let offset, let count): offset > 0 ? [.read(slot, at: 0, count: count)] : []
        case .rename(let path, let newPath, let rule): rule == .replace ? [] : [.rename(path, to: newPath, .replace)]
        default: []
        }
    }
}

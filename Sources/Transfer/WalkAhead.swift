import Cache

/// How far to list ahead of a program that walks a tree: that opens one directory after the other, in the order of their
/// names. Decides alone; the ``Lister`` acts.
///
/// The walk of a directory's children begins with the first that was never listed. Whoever opens one that was listed
/// ahead is believed to open twice as many; whoever passes one over is believed again when two in a row were opened.
struct WalkAhead {
    /// The next `count` directories in `parent` behind a name that were never listed are to be looked for.
    struct Step: Equatable {
        var parent: InodeNumber
        var name: FileName
        var count: Int
    }

    /// What was known of a directory when it was opened.
    enum Knowledge {
        case unlisted
        case fresh
        /// It has to be listed again: to list it so far ahead was in vain.
        case stale
    }

    /// Directories of one parent that are listed ahead.
    static let maximumWindow = 32
    /// Directories whose walks are remembered; beyond, those that were longest not heard of are forgotten.
    static let memoryLimit = 1024

    /// By the directory whose children are opened.
    private var walks: [InodeNumber: Walk] = [:]
    /// Counts what was opened.
    private var moment = 0

    var count: Int { walks.count }

    /// A program opened a directory; `place` is nil for the root. Returns what to look for, for ``found(_:for:)``.
    mutating func opened(
        _ directory: InodeNumber, at place: (parent: InodeNumber, name: FileName)?, _ knowledge: Knowledge
    ) -> Step? {
        moment += 1
        var walk = walks[directory] ?? Walk()
        walk.moment = moment
        defer { remember(walk, of: directory) }
        guard let place, var above = walks[place.parent] else { return nil }
        if walks[directory] == nil, let before = above.latest.flatMap({ walks[$0] }) { walk.window = before.lesson }
        above.moment = moment
        above.latest = directory
        defer { remember(above, of: place.parent) }
        guard let count = above.opened(directory, place.name, knowledge), let name = above.end else { return nil }
        return Step(parent: place.parent, name: name, count: count)
    }

    /// What a step found, in the order of the names. Returns those to list now.
    mutating func found(_ directories: [(name: FileName, number: InodeNumber)], for step: Step) -> [InodeNumber] {
        guard var walk = walks[step.parent], walk.end == step.name else { return [] }
        walk.found(directories, of: step.count)
        walks[step.parent] = walk
        return walk.window == 0 ? [] : directories.map(\.number)
    }

    private mutating func remember(_ walk: Walk, of directory: InodeNumber) {
        walks[directory] = walk
        guard walks.count > Self.memoryLimit else { return }
        walks = walks.filter { moment - $0.value.moment < Self.memoryLimit / 4 }
    }
}

extension WalkAhead {
    /// The walk through the children of one directory.
    private struct Walk {
        /// How many to list ahead; 0: the next one is looked for, to see whether it is opened.
        var window = 1
        /// The child that was opened last.
        var latest: InodeNumber?
        var moment = 0
        /// Looked for and not opened yet.
        private var ahead: [InodeNumber] = []
        /// The name up to which children were opened or looked for; nil: none yet that was never listed.
        private(set) var end: FileName?
        private var hits = 0
        private var isLookedFor = false
        private var isAtEnd = false

        /// With how many the walk of the next directory may begin.
        var lesson: Int { end == nil ? window : min(window, hits + 1) }

        /// Returns how many to look for behind ``end``; nil: none.
        mutating func opened(_ child: InodeNumber, _ name: FileName, _ knowledge: Knowledge) -> Int? {
            if let index = ahead.firstIndex(of: child) {
                ahead.remove(at: index)
                hits += 1
                window = knowledge == .stale ? window / 2 : min(WalkAhead.maximumWindow, max(1, window * 2))
            } else {
                guard knowledge == .unlisted, end.map({ $0 < name }) ?? true else { return nil }
                if end != nil { (window, ahead, isLookedFor, isAtEnd) = (0, [], false, false) }
                end = name
            }
            guard !isLookedFor, !isAtEnd, ahead.count <= window / 2 else { return nil }
            isLookedFor = true
            return max(1, window) - ahead.count
        }

        mutating func found(_ children: [(name: FileName, number: InodeNumber)], of count: Int) {
            isLookedFor = false
            isAtEnd = children.count < count
            ahead += children.map(\.number)
            end = children.last?.name ?? end
        }
    }
}

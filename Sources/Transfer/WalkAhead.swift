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

    /// Directories whose walks are remembered; beyond, those that were longest not heard of are forgotten.
    static let memoryLimit = 1024

    /// What is remembered of a directory.
    private struct Walk {
        var children: OrderedWalk
        /// The child that was opened last.
        var latest: InodeNumber?
        var moment = 0
    }

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
        var walk = walks[directory] ?? Walk(children: OrderedWalk(window: 1))
        walk.moment = moment
        defer { remember(walk, of: directory) }
        guard let place, var above = walks[place.parent] else { return nil }
        if walks[directory] == nil, let before = above.latest.flatMap({ walks[$0] }) {
            walk.children.window = before.children.lesson
        }
        above.moment = moment
        above.latest = directory
        defer { remember(above, of: place.parent) }
        let count = above.children.came(
            to: directory, named: place.name, isNew: knowledge == .unlisted, isInVain: knowledge == .stale)
        guard let count, let name = above.children.end else { return nil }
        return Step(parent: place.parent, name: name, count: count)
    }

    /// What a step found, in the order of the names. Returns those to list now.
    mutating func found(_ directories: [(name: FileName, number: InodeNumber)], for step: Step) -> [InodeNumber] {
        guard var walk = walks[step.parent], walk.children.end == step.name else { return [] }
        defer { walks[step.parent] = walk }
        return walk.children.found(directories, of: step.count)
    }

    private mutating func remember(_ walk: Walk, of directory: InodeNumber) {
        walks[directory] = walk
        guard walks.count > Self.memoryLimit else { return }
        walks = walks.filter { moment - $0.value.moment < Self.memoryLimit / 4 }
    }
}

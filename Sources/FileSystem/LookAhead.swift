import Cache
import Transfer

/// Which children of a directory to ask for ahead of a program that looks at one after the other, as `ls -l` does: each
/// look waits for the network otherwise. Pure.
struct LookAhead {
    /// Directories that are remembered; beyond, all are forgotten.
    static let memoryLimit = 1024

    /// The next `count` children behind a name of which attributes are not known are to be looked for.
    struct Step: Equatable {
        var name: FileName
        var count: Int
    }

    private var walks: [InodeNumber: OrderedWalk] = [:]

    /// Whether somebody looks at the children of a directory.
    func isFollowed(_ directory: InodeNumber) -> Bool { walks[directory] != nil }

    /// A look at a child. `isKnown`: it was answered without a request.
    mutating func looked(
        at child: InodeNumber, named name: FileName, in directory: InodeNumber, isKnown: Bool
    ) -> Step? {
        guard !isKnown || walks[directory] != nil else { return nil }
        if walks[directory] == nil, walks.count >= Self.memoryLimit { walks = [:] }
        // A look at a single file asks for no other.
        var walk = walks[directory] ?? OrderedWalk(window: 0)
        defer { walks[directory] = walk }
        guard let count = walk.came(to: child, named: name, isNew: !isKnown), let end = walk.end else { return nil }
        return Step(name: end, count: count)
    }

    /// What a step found, in the order of the names. Returns those to ask for now.
    mutating func found(
        _ children: [(name: FileName, number: InodeNumber)], in directory: InodeNumber, for step: Step
    ) -> [InodeNumber] {
        guard let walk = walks[directory], walk.end == step.name else { return [] }
        return walks[directory]?.found(children, of: step.count) ?? []
    }
}

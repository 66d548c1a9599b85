import Cache

/// How far to go ahead of a program that comes to the children of a directory one after the other, in the order of their
/// names. Pure.
///
/// Whoever comes to one that was taken ahead is believed to come to twice as many; whoever passes one over is believed
/// again when two in a row were come to.
public struct OrderedWalk: Sendable {
    /// Children that are taken ahead at most.
    static let maximumWindow = 32

    /// How many to take ahead; 0: the next one is looked for, to see whether it is come to.
    var window: Int
    /// Looked for and not come to yet.
    private var ahead: [InodeNumber] = []
    /// The name up to which children were come to or looked for; nil: none yet.
    public private(set) var end: FileName?
    private var hits = 0
    private var isLookedFor = false
    private var isAtEnd = false

    public init(window: Int) {
        self.window = window
    }

    /// With how many the walk of the next directory may begin.
    var lesson: Int { end == nil ? window : min(window, hits + 1) }

    /// Somebody came to a child. `isNew`: it was not taken ahead or known before; `isInVain`: it was, and that was of no use.
    /// Returns how many to look for behind ``end``; nil: none.
    public mutating func came(
        to child: InodeNumber, named name: FileName, isNew: Bool, isInVain: Bool = false
    ) -> Int? {
        if let index = ahead.firstIndex(of: child) {
            ahead.remove(at: index)
            hits += 1
            window = isInVain ? window / 2 : min(Self.maximumWindow, max(1, window * 2))
        } else {
            guard isNew, end.map({ $0 < name }) ?? true else { return nil }
            if end != nil { (window, ahead, isLookedFor, isAtEnd) = (0, [], false, false) }
            end = name
        }
        guard !isLookedFor, !isAtEnd, ahead.count <= window / 2 else { return nil }
        isLookedFor = true
        return max(1, window) - ahead.count
    }

    /// What was found, in the order of the names, where so many were looked for. Returns those to take ahead now.
    public mutating func found(
        _ children: [(name: FileName, number: InodeNumber)], of count: Int
    ) -> [InodeNumber] {
        isLookedFor = false
        isAtEnd = children.count < count
        ahead += children.map(\.number)
        end = children.last?.name ?? end
        return window == 0 ? [] : children.map(\.number)
    }
}

/// One directory of a ``SimulatedDisk``: its names now, and as a power cut would leave them.
///
/// SAFETY: guarded by the lock of its disk.
final class SimulatedDirectory: @unchecked Sendable {
    enum Node {
        case file(SimulatedBytes)
        case directory(SimulatedDirectory)
    }

    private struct Change {
        /// The two halves of a rename have one number.
        var number: Int
        var name: String
        var node: Node?
    }

    private(set) var entries: [String: Node] = [:]
    private var durable: [String: Node] = [:]
    /// Since the last sync, in order.
    private var changes: [Change] = []

    init() {}

    init(entries: [String: Node]) {
        self.entries = entries
        durable = entries
    }

    /// Whether there is nothing in it, and was nothing that might come back.
    var isSettled: Bool { entries.isEmpty && changes.isEmpty }

    func set(_ name: String, _ node: Node?, number: Int) {
        entries[name] = node
        changes.append(Change(number: number, name: name, node: node))
    }

    /// Returns the numbers of the changes that are on the medium now.
    func synchronize() -> [Int] {
        defer { changes = [] }
        durable = entries
        return changes.map(\.number)
    }

    /// The machine starts again: of the changes that were not synced, only those survive that `isLucky` says.
    func losePower(_ isLucky: (Int) -> Bool) {
        for change in changes where isLucky(change.number) { durable[change.name] = change.node }
        changes = []
        entries = durable
    }
}

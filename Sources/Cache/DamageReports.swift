import Platform

/// What was found to be wrong in one go, to be told of once: the same damage is found again at every start.
struct DamageReports {
    /// Of more, only the count is told.
    private static let limit = 500

    private let time: Timestamp
    private(set) var events: [JournalEvent] = []
    private(set) var untold = 0

    init(time: Timestamp) {
        self.time = time
    }

    mutating func add(_ message: String, _ inode: Inode, _ transaction: JournalTransaction) throws {
        try add(message, inode.number, transaction)
    }

    mutating func add(_ message: String, _ number: InodeNumber, _ transaction: JournalTransaction) throws {
        guard events.count < Self.limit else {
            untold += 1
            return
        }
        let path = (try? transaction.path(of: number)).flatMap { $0 } ?? "inode \(number)"
        events.append(JournalEvent(kind: .error, path: path, message: message, time: time))
    }

    /// The rest in one event.
    var summary: JournalEvent? {
        guard untold > 0 else { return nil }
        return JournalEvent(
            kind: .error, path: "", message: "\(untold) more files are damaged: see sluice fsck", time: time)
    }
}

extension JournalTransaction {
    /// Returns what was news.
    func record(_ reports: DamageReports) throws -> [JournalEvent] {
        guard !reports.events.isEmpty else { return [] }
        let known = Set(try events(.error).map { "\($0.path)\0\($0.message)" })
        let news = (reports.events + [reports.summary].compactMap { $0 })
            .filter { !known.contains("\($0.path)\0\($0.message)") }
        for event in news { try record(event) }
        return news
    }
}

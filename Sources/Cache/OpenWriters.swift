import Synchronization

/// Which files programs have open for writing.
///
/// Thread rule: any thread, also inside of a journal transaction: a leaf lock, below the journal.
final class OpenWriters: Sendable {
    private let counts = Mutex<[InodeNumber: Int]>([:])

    func add(_ number: InodeNumber) {
        counts.withLock { $0[number, default: 0] += 1 }
    }

    func remove(_ number: InodeNumber) {
        counts.withLock { counts in
            let left = (counts[number] ?? 0) - 1
            counts[number] = left > 0 ? left : nil
        }
    }

    var all: [InodeNumber] { counts.withLock { Array($0.keys) } }

    func contains(_ number: InodeNumber) -> Bool {
        counts.withLock { $0[number] != nil }
    }
}

import Platform
import SystemPackage

/// Examines a state directory that no daemon uses: what is damaged, and what is not in the bucket. Changes nothing.
///
/// Goes on whatever it meets: without a journal, the data files are known by the numbers of their inodes alone.
public struct StateExamination {
    let tree: StateTree
    public private(set) var report = StateReport()
    private let boot: BootIdentity

    /// Examines the directory at `path`. Throws ``CacheError`` if there is none, a daemon uses it, or the journal
    /// cannot be copied for want of space.
    public init(path: String, boot: BootIdentity) throws {
        tree = try StateTree(path: path)
        self.boot = boot
        checkTop()
        let contents = try readJournal()
        if let contents { JournalExamination(contents).run(&report) }
        examineData(contents)
        listQuarantine()
    }

    // MARK: The directory

    private mutating func checkTop() {
        let owner: UInt32
        do {
            guard let top = try tree.entry("") else { return }
            owner = top.owner
            if top.permissions & 0o077 != 0 { report.damaged(".", "the directory is open to other users") }
        } catch {
            return report.damaged(".", "\(error)")
        }
        for name in ["journal.db", "journal.db-wal", "journal.db-shm", "lock", "sluice.log", "sluice.log.1"] {
            expect(name, .file, owner)
        }
        expect("data", .directory, owner)
        expect("quarantine", .directory, owner)
        expect("control.sock", .socket, owner)
    }

    /// Whatever has the name, if anything, is of the kind.
    private mutating func expect(_ name: String, _ kind: StateTree.Entry.Kind, _ owner: UInt32) {
        do {
            guard let entry = try tree.entry(name) else { return }
            if let fault = Self.fault(entry, expected: kind, owner) { report.damaged(name, fault) }
        } catch {
            report.damaged(name, "\(error)")
        }
    }

    private static func fault(_ entry: StateTree.Entry, expected: StateTree.Entry.Kind, _ owner: UInt32) -> String? {
        if entry.kind != expected { return "is \(entry.kind.text), not \(expected.text)" }
        if entry.owner != owner { return "belongs to user \(entry.owner), not to \(owner)" }
        if expected == .file && entry.links > 1 { return "has \(entry.links) names (hard links)" }
        if expected != .socket && entry.permissions & 0o022 != 0 { return "may be written by other users" }
        return nil
    }

    // MARK: The journal

    /// Nil if nothing of it can be read.
    private mutating func readJournal() throws -> JournalContents? {
        let entry = (try? tree.entry("journal.db")).flatMap { $0 }
        if entry == nil { report.damaged("journal.db", "is not there") }
        if entry?.size == 0 { report.damaged("journal.db", "is empty") }
        do {
            let contents = try JournalCopy(of: tree).read { JournalContents($0) }
            for damage in contents.damage { report.damaged("journal.db", damage) }
            let isSound = contents.damage.isEmpty && entry != nil && entry?.size != 0
            let hasRows = contents.inodes[.root] != nil || !contents.inodes.isEmpty || !contents.names.isEmpty
            report.journal = isSound ? .sound : hasRows ? .damaged : .unreadable
            report.inodes = contents.inodes.count
            report.source = contents.source
            return report.journal == .unreadable ? nil : contents
        } catch let error as CacheError {
            throw error
        } catch {
            report.damaged("journal.db", "cannot be read: \(error)")
            report.journal = .unreadable
            return nil
        }
    }

    // MARK: Data files

    private mutating func examineData(_ contents: JournalContents?) {
        let data = DataExamination(tree: tree, contents: contents, boot: boot)
        data.run(&report)
    }

    private mutating func listQuarantine() {
        report.quarantined = files(below: "quarantine")
    }

    /// Of whatever kind; directories are gone through.
    private mutating func files(below directory: String, depth: Int = 0) -> [StateReport.Stray] {
        guard depth < 8, let names = try? tree.names(in: directory) else { return [] }
        var found: [StateReport.Stray] = []
        for name in names {
            let place = "\(directory)/\(name)"
            guard let entry = (try? tree.entry(place)).flatMap({ $0 }) else { continue }
            if entry.kind == .directory {
                found += files(below: place, depth: depth + 1)
            } else {
                found.append(StateReport.Stray(name: place, size: entry.kind == .file ? entry.size : 0))
            }
        }
        return found
    }
}

/// Holds the rows of a journal against each other.
struct JournalExamination {
    private let contents: JournalContents
    private let paths: JournalPaths

    init(_ contents: JournalContents) {
        self.contents = contents
        paths = JournalPaths(contents)
    }

    func run(_ report: inout StateReport) {
        for (number, damage) in contents.damagedRows.sorted(by: { $0.key < $1.key }) {
            report.damaged(paths.place(of: number), damage)
        }
        checkRoot(&report)
        checkNames(&report)
        for inode in contents.inodes.values.sorted(by: { $0.number < $1.number }) { check(inode, &report) }
        checkRest(&report)
        listChanges(&report)
    }

    private func isKnown(_ number: Int64) -> Bool {
        contents.inodes[InodeNumber(sql: number)] != nil || contents.damagedRows[number] != nil
    }

    private func checkRoot(_ report: inout StateReport) {
        guard let root = contents.inodes[.root] else {
            if !contents.inodes.isEmpty { report.damaged("/", "the row of the root directory is not there") }
            return
        }
        if root.kind != .directory { report.damaged("/", "the root is no directory") }
    }

    private func checkNames(_ report: inout StateReport) {
        var directories: Set<Int64> = []
        for name in contents.names {
            let place = "the name \(name.name ?? "?") in directory \(name.parent)"
            if name.name.flatMap({ FileName($0) }) == nil { report.damaged(place, "is an impossible name") }
            if !isKnown(name.inode) { report.damaged(place, "leads to inode \(name.inode), which is not there") }
            let parent = contents.inodes[InodeNumber(sql: name.parent)]
            if parent.map({ $0.kind != .directory }) ?? !isKnown(name.parent) {
                report.damaged(place, "is in no directory")
            }
            let isDirectory = contents.inodes[InodeNumber(sql: name.inode)]?.kind == .directory
            if isDirectory && !directories.insert(name.inode).inserted {
                report.damaged(place, "leads to directory \(name.inode), which has another name already")
            }
        }
    }

    private func check(_ inode: Inode, _ report: inout StateReport) {
        let number = inode.number.sql
        let place = paths.place(of: number)
        if paths.isInCircle(number) { report.damaged(place, "the directories above it form a circle") }
        if inode.number != .root {
            let hasName = paths.hasName(number)
            if inode.linkCount > 0 && !hasName { report.damaged(place, "no name leads to it") }
            if inode.linkCount == 0 && hasName { report.damaged(place, "it has a name and counts none") }
        }
        if let target = inode.aliasOf {
            guard let original = contents.inodes[target] else {
                return report.damaged(place, "it is a further name of inode \(target), which is not there")
            }
            if original.aliasOf != nil || original.kind == .directory {
                report.damaged(place, "it is a further name of inode \(target), which can have none")
            }
        }
    }

    private func checkRest(_ report: inout StateReport) {
        for (table, inode) in contents.references where !isKnown(inode) {
            report.damaged("table \(table)", "has rows of inode \(inode), which is not there")
        }
        for upload in contents.uploads where upload.partSize.map({ $0 <= 0 }) ?? true {
            report.damaged(paths.place(of: upload.inode), "the row of its upload is damaged")
        }
        if contents.tombstones.contains("") { report.damaged("table tombstone", "has a row without a key") }
    }

    /// Of what has a name; the content is told with the data files.
    private func listChanges(_ report: inout StateReport) {
        for inode in contents.inodes.values where inode.linkCount > 0 && inode.number != .root {
            guard let path = paths.path(of: inode.number.sql), !inode.pending.contains(.content) else { continue }
            if inode.pending.contains(.location), let remote = inode.remote {
                report.changes.append(StateReport.Change(path: path, kind: .moved(from: remote.key)))
            } else if inode.pending.contains(.metadata) {
                report.changes.append(StateReport.Change(path: path, kind: .attributes))
            }
        }
        for key in contents.tombstones where !key.isEmpty {
            report.changes.append(StateReport.Change(path: key, kind: .deleted))
        }
        report.changes.sort { $0.path < $1.path }
    }
}

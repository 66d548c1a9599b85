import Cache

/// What `sluice fsck` tells a person.
enum FsckText {
    static func lines(_ report: StateReport, at path: String) -> [String] {
        var lines = ["state directory \(path)" + (report.source.map { " of \($0)" } ?? "")]
        lines.append("  journal: \(text(report.journal)), \(report.inodes) inodes; \(report.dataFiles) data files")
        lines += section("not in the bucket", report.unsent.map(text))
        lines += section("changes that the bucket does not know", report.changes.map(text))
        lines += section("in quarantine", report.quarantined.map(text))
        lines += section("data that the journal does not know", report.strays.map(text))
        lines += section("damage", report.damage.map { "\($0.place): \($0.text)" })
        lines += section("notes", report.notes.map { "\($0.place): \($0.text)" })
        lines.append(verdict(report))
        return lines
    }

    static func lines(_ outcomes: [Salvage.Outcome], at path: String) -> [String] {
        let saved = outcomes.count { $0.place != nil }
        let lines = outcomes.map { outcome in
            let remark = outcome.remark.map { " (\($0))" } ?? ""
            guard let place = outcome.place else { return "  NOT SAVED  \(outcome.what)\(remark)" }
            return "  saved  \(outcome.what) as \(place)\(remark)"
        }
        return ["saved into \(path): \(saved) of \(outcomes.count)"] + lines
    }

    private static func section(_ title: String, _ lines: [String]) -> [String] {
        lines.isEmpty ? [] : ["\(title): \(lines.count)"] + lines.map { "  \($0)" }
    }

    private static func text(_ condition: StateReport.JournalCondition) -> String {
        switch condition {
        case .sound: "sound"
        case .damaged: "DAMAGED, what can be read of it is used"
        case .unreadable: "UNREADABLE, data files are known by their numbers alone"
        }
    }

    private static func text(_ unsent: StateReport.Unsent) -> String {
        let path = unsent.path ?? "(no name) inode \(unsent.inode)"
        switch unsent.kind {
        case .directory: return "\(path)/  directory"
        case .symbolicLink: return "\(path)  symbolic link"
        case .file: break
        case .pipe, .socket, .characterDevice, .blockDevice: return "\(path)  \(unsent.kind)"
        }
        var line = "\(path)  \(Units.text(bytes: unsent.size))"
        if unsent.missing > 0 { line += ", \(Units.text(bytes: unsent.missing)) of it not on this machine" }
        if unsent.missing > 0, let remote = unsent.remote { line += " (in the bucket as \(remote))" }
        return line
    }

    private static func text(_ change: StateReport.Change) -> String {
        switch change.kind {
        case .moved(let key): "\(change.path)  moved, in the bucket as \(key)"
        case .attributes: "\(change.path)  attributes"
        case .deleted: "\(change.path)  deleted"
        }
    }

    private static func text(_ stray: StateReport.Stray) -> String {
        "\(stray.name)  \(Units.text(bytes: stray.size))" + (stray.path.map { ", was \($0)" } ?? "")
    }

    private static func verdict(_ report: StateReport) -> String {
        guard report.isDamaged else {
            return report.unsent.isEmpty && report.changes.isEmpty
                ? "nothing is damaged, and all is in the bucket"
                : "nothing is damaged; the next mount brings the rest into the bucket"
        }
        return "DAMAGE was found: sluice fsck --salvage DIR copies what is not in the bucket into DIR"
    }
}
